"""Several copies of one package in one process: each is imported with the others' modules taken out of sys.modules."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from sdtps_ref.benchmarks.gate.operands import Operand
from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.target import load

SUITE = "sdtps_ref"


@dataclass
class Copy:
    """An implementation with the modules that it was made of, which no other copy shares."""

    operand: Operand
    implementation: Any = None
    modules: dict[str, ModuleType] = field(default_factory=dict)

    @contextmanager
    def active(self) -> Iterator[None]:
        """sys.modules and sys.path as this copy wants them: for building, and for a first call that may still import.

        What the copy imports meanwhile is its own; everybody else's modules are back afterwards.
        """
        if self.operand.root is None:
            yield
            return
        names = _own(self.operand)
        others = _take_out(names)
        sys.modules.update(self.modules)
        path = list(sys.path)
        sys.path[:0] = [self.operand.root, ""]  # `load` puts the working folder first, unless it is there already
        try:
            yield
        finally:
            sys.path[:] = path
            self.modules = _take_out(names)
            sys.modules.update(others)


def loaded(operand: Operand) -> Copy:
    """A copy of its own, even of what was loaded before. Raises TargetError or InvalidInput."""
    copy = Copy(operand)
    with copy.active():
        importlib.invalidate_caches()
        copy.implementation = load(operand.target)
    _check_origin(copy)
    return copy


def _own(operand: Operand) -> set[str]:
    """The top-level names that are this operand's own: its package, or what lies beside its file."""
    assert operand.root is not None
    if operand.package:
        return {operand.package}
    root = Path(operand.root)
    beside = {path.stem for path in root.glob("*.py")} | {path.parent.name for path in root.glob("*/__init__.py")}
    # A file beside a checkout gets the suite that is running, and nobody gets a second torch.
    return {name for name in beside - {SUITE} - set(sys.stdlib_module_names) if not _installed(name, root)}


def _installed(name: str, root: Path) -> bool:
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and "site-packages" in Path(file).parts and "site-packages" not in root.parts


def _take_out(names: set[str]) -> dict[str, ModuleType]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names}


def _check_origin(copy: Copy) -> None:
    """A finder that an editable install left behind may answer first: then both sides would be the same code."""
    if copy.operand.root is None or not copy.operand.package:
        return
    root = Path(copy.operand.root).resolve()
    for name, module in copy.modules.items():
        file = getattr(module, "__file__", None)
        if file and not Path(file).resolve().is_relative_to(root):
            raise InvalidInput.given(f"{copy.operand.given}, whose {name} came from {file}", f"one under {root}")
