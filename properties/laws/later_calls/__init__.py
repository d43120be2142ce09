"""Calls that are not the first: the same input, seed and weights give the same answer, whatever came before."""
