"""Modules in the published shapes, written for the tests from DESIGN's formulas: what people bring to be certified.

Each file stands alone, as a stranger's would. Wrong ones are made of them in the tests, a line changed.
"""
