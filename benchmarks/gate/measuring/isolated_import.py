"""Several copies of one package in one process: each is imported with the others' modules taken out of sys.modules."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from sdtps_ref.benchmarks.gate.measuring.revisions import Operand
from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.targets.target import load

SUITE = "sdtps_ref"
INSTALLED = ("site-packages", "dist-packages")


@dataclass
class Copy:
    """An implementation with the modules that it was made of, which no other copy shares."""

    operand: Operand
    implementation: Any = None
    modules: dict[str, ModuleType] = field(default_factory=dict)

    @contextmanager
    def active(self) -> Iterator[None]:
        """sys.modules and sys.path as this copy wants them: for building, and for a first call that may still import.

        What the copy imports meanwhile is its own; everybody else's modules are back afterwards. Raises InvalidInput
        where it imported from elsewhere what should be its own.
        """
        if self.operand.root is None:
            yield
            return
        names = _own(self.operand)
        others = _take_out(names)
        before = set(sys.modules)
        sys.modules.update(self.modules)
        path = list(sys.path)
        # `load` puts the working folder first, unless it is there already.
        sys.path[:0] = [*self.operand.own, self.operand.root, ""]
        try:
            yield
        finally:
            sys.path[:] = path
            self.modules = _take_out(names)
            shared = {name: sys.modules[name] for name in set(sys.modules) - before}
            sys.modules.update(others)
        _check_origin(self.operand, self.modules, shared)


def loaded(operand: Operand) -> Copy:
    """A copy of its own, even of what was loaded before. Raises TargetError or InvalidInput."""
    copy = Copy(operand)
    with copy.active():
        importlib.invalidate_caches()
        copy.implementation = load(operand.target)
    return copy


def _own(operand: Operand) -> set[str]:
    """The top-level names that are this operand's own: its package, and what lies beside it."""
    names = {operand.package} - {""}
    for folder in map(Path, operand.own):
        if folder.name in INSTALLED:
            continue
        beside = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/*.py")}
        # An adapter in a checkout gets the suite that is running, and nobody gets a second torch.
        names |= {name for name in beside - {SUITE} - set(sys.stdlib_module_names) if not _installed(name)}
    return names


def _installed(name: str) -> bool:
    file = Path(getattr(sys.modules.get(name), "__file__", None) or "")
    return (file.parent.parent if file.stem == "__init__" else file.parent).name in INSTALLED


def _take_out(names: set[str]) -> dict[str, ModuleType]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names}


def _check_origin(operand: Operand, own: dict[str, ModuleType], shared: dict[str, ModuleType]) -> None:
    """What an editable install left behind may answer for a revision: then both sides would be the same code.

    own: modules that must be the operand's; shared: what else it imported, which must not be the working tree's.
    """
    assert operand.root is not None
    root = Path(operand.root).resolve()
    for name, module in {**own, **shared}.items():
        file = Path(getattr(module, "__file__", None) or root).resolve()
        elsewhere = not file.is_relative_to(root)
        in_tree = (
            operand.repository and file.is_relative_to(operand.repository) and not set(INSTALLED) & set(file.parts)
        )
        if elsewhere and (name in own or (in_tree and name.partition(".")[0] != SUITE)):
            accepted = f"one that lies in {operand.meant} itself, at its top, in src, or beside the file"
            raise InvalidInput.given(f"{operand.given}, whose {name} came from {file}", accepted)
