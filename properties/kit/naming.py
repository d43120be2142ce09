"""Where a law's tensors came from, and what a script calls them."""

import sys
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from torch import Tensor

from sdtps_ref.properties.kit import execution_modes, jacobians, values
from sdtps_ref.properties.kit.recording import FILLED, Operation
from sdtps_ref.properties.kit.rendering import names_in

WRITERS = ("sdtps_ref.properties.laws", "sdtps_ref.properties.signals")  # whose variables' names a script takes over


class UnnamedTensor(TypeError):
    """A law compares a tensor of which its script cannot tell where it came from. A mistake in the law."""


class Naming:
    """The expressions by which tensors are called, and what the law made of which."""

    def __init__(self) -> None:
        self._names: dict[int, tuple[Any, str]] = {}  # the object is held, so that its id stays its own
        self._made: dict[int, tuple[Operation, str]] = {}  # what the law computed, and where in the result it is
        self._given: set[str] = set()  # names of what did not come from the implementation
        self._used: dict[str, int] = {}
        self._raised: TracebackType | None = None

    def name(self, value: Any, expression: str) -> None:
        """From here on `value` is written as `expression`."""
        if value is not None:
            self._names.setdefault(id(value), (value, expression))

    def is_known(self, value: Any) -> bool:
        """Whether the script can tell where `value` came from: it has a name, or is made of what has."""
        if id(value) in self._names:
            return True
        if id(value) not in self._made:
            return False
        operation, _ = self._made[id(value)]
        if operation.known is None:
            operation.known = operation.is_writable() and all(map(self.is_known, operation.tensors()))
        return operation.known

    def demand(self, value: Any, what: str) -> None:
        """Raise UnnamedTensor for a tensor that the script could only spell out, with the broken code's numbers."""
        if not self.is_known(value):
            raise UnnamedTensor(
                f"{what}: given a tensor of unknown origin, so that a script could only spell out the broken code's "
                "numbers; accepted: what `probe` returned, torch's functions of it, `probe.define` for what a function "
                "of this project makes of it, and constant=True for what depends on no output"
            )

    def is_filled(self, value: Any) -> bool:
        """Whether it is one number throughout, whatever the implementation did."""
        return id(value) in self._made and self._made[id(value)][0].torch_name in FILLED

    def _depends(self, value: Tensor) -> bool:
        """Whether it depends on what the implementation gave."""
        if id(value) in self._names:
            return names_in(self._names[id(value)][1])[0] not in self._given
        return any(map(self._depends, self._made[id(value)][0].tensors()))

    def _steps(self, value: Tensor) -> int:
        if id(value) in self._names or self._made[id(value)][0].name:
            return 0
        return 1 + sum(map(self._steps, self._made[id(value)][0].tensors()))

    def _variable(self, value: Any) -> str:
        """What a law calls it."""
        for scope, variables in self._scopes():
            if scope.startswith(WRITERS):
                for name, held in variables.items():
                    if held is value and not any(hasattr(room, name) for room in (values, jacobians, execution_modes)):
                        return name
        return ""

    def _scopes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Modules' names and variables: of who is being called, or of who raised, the innermost first."""
        at = self._raised
        frames: list[FrameType] = []
        while at is not None:
            frames.insert(0, at.tb_frame)
            at = at.tb_next
        frame = sys._getframe() if not frames else None
        while frame is not None:
            frames.append(frame)
            frame = frame.f_back
        return ((frame.f_globals.get("__name__", ""), frame.f_locals) for frame in frames)

    def _fresh_name(self, name: str) -> str:
        self._used[name] = self._used.get(name, 0) + 1
        return name if self._used[name] == 1 else f"{name}_{self._used[name]}"
