"""From what was written down to a program: only what the check needs, and what is used once where it is used."""

import ast
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
NEVER_RIGHT = "right = bool(False)"  # in the script of a failure that right code raises before
IDENTIFIER = re.compile(r"(?<![\w.'\"])[A-Za-z_]\w*")
UNNAMED = "made"  # what a script calls a tensor for which the law has no variable
LONGEST = 110  # characters of a line into which another one is put


@dataclass
class Statement:
    """A line of the program. name: what it defines, if it may be put where that is used once.

    acts: whether it may change what others see. view: whether it says the same before and after such a line.
    """

    text: str
    name: str = ""
    acts: bool = False
    view: bool = False


@dataclass(frozen=True)
class Loader:
    """Lines that define `implementation`, and what they call that is not the user's own: the script carries it."""

    text: str
    carried: tuple[Callable[..., Any], ...] = ()


# The names that the sources which a script carries use, by the module that has them.
IMPORTS = {
    "collections.abc": ("Callable", "Iterator", "Mapping"),
    "dataclasses": ("dataclass",),
    "typing": ("Any",),
    "torch": ("Tensor", "nn"),
    "torch.overrides": ("TorchFunctionMode",),
}


def program(statements: list[Statement], functions: list[str], check: str | None, message: str, loader: str) -> str:
    """The whole script. check: true for a right implementation; loader: lines that define `implementation`."""
    ends = [] if check is None else [Statement(f"right = bool({check})")]
    lines = [statement.text for statement in joined([*statements, *ends])]
    used = {name for source in functions for name in names_in(source)}
    needed = {module: [name for name in names if name in used] for module, names in IMPORTS.items()}
    lines_of = [(module, f"from {module} import {', '.join(names)}") for module, names in needed.items() if names]
    standard = [line for module, line in lines_of if not module.startswith("torch")]
    of_torch = [line for module, line in lines_of if module.startswith("torch")]
    whole = ["import dataclasses"] if "dataclasses" in used else []
    parts = [*whole, "import sys", *standard, "", "import torch", *of_torch, "", loader, ""]
    parts += [f"\n{source}" for source in functions] + [""] * (2 if functions else 0)
    parts += lines[: len(lines) - len(ends)]
    if check is not None:
        parts += ["", lines[-1], f"print({message!r})"]
        parts += [f"print({NOT_REPRODUCED!r} if right else {REPRODUCED!r})", "sys.exit(0 if right else 1)"]
    return "\n".join(parts) + "\n"


def joined(statements: list[Statement]) -> list[Statement]:
    """What is used once is put where it is used, unless something in between may have changed it."""
    left = list(statements)
    for statement in statements:
        if not statement.name:
            continue
        at = next(i for i, each in enumerate(left) if each is statement)
        uses = [(i, count) for i, each in enumerate(left) if i > at and (count := _count(each.text, statement.name))]
        if sum(count for _, count in uses) != 1:
            continue
        user = left[uses[0][0]]
        between = left[at + 1 : uses[0][0]]
        if (statement.view or not any(each.acts for each in between)) and not _writes_to(user, statement.name):
            text = _with(user.text, statement.name, statement.text.partition(" = ")[2])
            if len(text) <= LONGEST:
                user.text = text
                del left[at]
    return _numbered(left)


def _numbered(statements: list[Statement]) -> list[Statement]:
    """Those without a name of the law's, in the order in which they are left."""
    unnamed = [each.name for each in statements if re.fullmatch(rf"{UNNAMED}(_\d+)?", each.name)]
    numbers = {name: UNNAMED + (f"_{i}" if i > 1 else "") for i, name in enumerate(unnamed, 1)}
    for each in statements:
        each.text = IDENTIFIER.sub(lambda found: numbers.get(found[0], found[0]), each.text)
    return statements


def tidy(text: str) -> str:
    """Without parentheses that nothing needs."""
    return ast.unparse(ast.parse(text))


def names_in(text: str) -> list[str]:
    """What the text mentions."""
    return IDENTIFIER.findall(text)


def sources_called(functions: dict[str, Callable[..., Any]], used: Iterable[str]) -> list[str]:
    """The source text of those functions that the program calls, and that these call."""
    used, called = set(used), set[str]()
    sources = {name: inspect.getsource(function) for name, function in functions.items()}
    while new := (used & sources.keys()) - called:
        called |= new
        used.update(*(names_in(sources[name]) for name in new))
    return [source for name, source in sources.items() if name in called]


def _count(text: str, name: str) -> int:
    return sum(found == name for found in names_in(text))


def _writes_to(user: Statement, name: str) -> bool:
    return user.acts and re.match(rf"{name}\b[.\[]", user.text) is not None


class _Replace(ast.NodeTransformer):
    def __init__(self, name: str, by: str):
        self.name, self.by = name, ast.parse(by, mode="eval").body

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.by if node.id == self.name else node


def _with(text: str, name: str, by: str) -> str:
    return ast.unparse(_Replace(name, by).visit(ast.parse(text)))
