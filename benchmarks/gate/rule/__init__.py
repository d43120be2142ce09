"""From measured processes to a verdict."""
