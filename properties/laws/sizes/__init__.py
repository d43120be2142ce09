"""Sizes, values, layouts and dtypes in pairs: what holds for a few tokens of ordinary scores holds for all of them."""
