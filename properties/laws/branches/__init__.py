"""Two texts, two scores, two decision matrices, two aggregations, one sum: equation 4."""
