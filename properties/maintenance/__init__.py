"""What serves this repository alone, and is not in the wheel: generated sections, documents that are run."""
