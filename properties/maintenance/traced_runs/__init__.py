"""Training runs that are sick in one known way, or healthy: does trace name the cause, and accuse nobody else?"""
