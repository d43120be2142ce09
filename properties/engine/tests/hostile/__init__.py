"""A gallery of subjects that do what a subject should not, by mistake or to be let off."""
