"""Docstrings as Markdown: what is code stays code, and no star or underscore of a formula is taken for emphasis."""

import inspect
import re


def prose(text: str) -> str:
    """One paragraph of a docstring, escaped outside of its backticks."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_\[\]<>|#])", r"\\\1", part) for part in parts)


def first_line(thing: object) -> str:
    """The first paragraph of a docstring, or nothing."""
    return prose((inspect.getdoc(thing) or "").partition("\n\n")[0])
