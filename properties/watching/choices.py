"""Which words an argument may be, read off the source: those that it is compared with."""

from __future__ import annotations

import ast
import enum
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


def compared_words(found: Any) -> dict[str, list[Any]]:
    """By the name of a variable or attribute, the words that it is compared with, in order.

    Numbers too, where it must be among them; and of a variable that an enumeration of the file is made of, its values.
    """
    try:
        tree = ast.parse(source_of(found))
    except SyntaxError:
        return {}
    words: dict[str, list[Any]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], COMPARED):
            name = _named(node.left)
            for word in _words(node.comparators[0]):
                if name and word not in words.setdefault(name, []):
                    words[name].append(word)
        elif isinstance(node, ast.Call) and len(node.args) == 1 and isinstance(node.func, ast.Name):
            kind = vars(found).get(node.func.id) if inspect.ismodule(found) else None
            if isinstance(kind, type) and issubclass(kind, enum.Enum):
                words.setdefault(_named(node.args[0]), []).extend(member.value for member in kind)
    return words


def _named(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _words(node: ast.expr) -> list[Any]:
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        numbers = [p.value for p in node.elts if isinstance(p, ast.Constant) and type(p.value) is int]
        return [word for part in node.elts for word in _words(part)] or numbers
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []
