"""Several modalities: each selects among its own tokens, guided by the others' global features."""
