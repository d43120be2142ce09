"""Which words an argument may be, read off the source: those that it is compared with."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any

COMPARED = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)


def source_of(found: Any) -> str:
    """The source text of a class, a function or a module; empty where there is none."""
    try:
        return textwrap.dedent(inspect.getsource(found))
    except (OSError, TypeError):
        return ""


def compared_words(found: Any) -> dict[str, list[str]]:
    """By the name of a variable or attribute, the words that it is compared with, in order."""
    try:
        tree = ast.parse(source_of(found))
    except SyntaxError:
        return {}
    words: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], COMPARED):
            name = _named(node.left)
            for word in _words(node.comparators[0]):
                if name and word not in words.setdefault(name, []):
                    words[name].append(word)
    return words


def _named(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _words(node: ast.expr) -> list[str]:
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return [word for part in node.elts for word in _words(part)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []
