"""Known-wrong and known-right implementations: what the laws are tested on.

`plain.py` is one right implementation with a method for every step. A fault is a subclass that changes
one step and names the law that must refuse it; a variant changes one step and stays right.
"""
