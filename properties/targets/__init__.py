"""From a target, as it was given, to an implementation of the contract."""
