"""The script of a failure: what a law did, as a program that needs torch and the implementation only."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor

from sdtps_ref.properties import values
from sdtps_ref.properties.case import Case

LITERAL_LIMIT = 256  # entries a script spells out, where it knows another way to write them
REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"


class Script:
    """Collects lines, and knows which expression each tensor is called by."""

    def __init__(self, case: Case):
        self.case = case
        self.lines: list[str | Callable[[], str]] = []  # tensors are spelt out only if the script is wanted
        self.last = ""
        self._names: dict[int, tuple[Any, str]] = {}  # the object is held, so that its id stays its own
        self._used: dict[str, int] = {}
        self._needed: dict[str, Callable[..., Any]] = {}

    def name(self, value: Any, expression: str) -> None:
        """From here on `value` is written as `expression`."""
        if value is not None:
            self._names.setdefault(id(value), (value, expression))

    def shown(self, value: Any) -> str:
        """How the script writes `value`."""
        if id(value) in self._names:
            return self._names[id(value)][1]
        if isinstance(value, Tensor):
            self.define_value("tensor", value)
            return self.last
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key!r}: {self.shown(item)}" for key, item in value.items()) + "}"
        return repr(value)

    def define_value(self, name: str, value: Tensor, recipe: str | None = None, needs: Any = ()) -> None:
        """A tensor that the law made, spelt out, or written as `recipe` where it is large and has one.

        needs: functions of `values` that the recipe calls, besides draw and lay_out.
        """
        self._fresh(name)
        end = ".requires_grad_()" if value.requires_grad else ""
        if recipe is not None and value.numel() > LITERAL_LIMIT:
            self._need(values.draw, values.lay_out, *needs)
            self.lines.append(f"{self.last} = {recipe}{end}")
        else:
            kept, left = value.detach().clone(), self.last  # a copy: the implementation may write into its input
            self.lines.append(lambda: f"{left} = {_literal(kept)}{end}")
        self.name(value, self.last)

    def define_build(self, method: str, arguments: dict[str, Any]) -> None:
        """A factory's call, after which `last` is the name of what it returned."""
        self._fresh(method)
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        self.lines.append(f"torch.manual_seed({self.case.seed})")
        self.lines.append(f"{self.last} = implementation.{method}({given})")

    def define_prepare(self, name: str, built: Any, training: bool) -> None:
        """How what was built came to the case's dtype, device and mode: in plain torch where that says it all."""
        dtype, device = f"torch.{self.case.dtype}", self.case.device
        modules = values.modules_in(built)
        if any(values.stir(module) for module in modules) or (modules and modules[0] is not built):
            self._need(values.modules_in, values._is_filled, values.stir, values.prepare)
            self.lines.append(f"prepare({name}, {dtype}, {device!r}, training={training})")
        elif modules:
            self.lines.append(f"{name}.to({device!r}, {dtype}).{'train' if training else 'eval'}()")

    def define_call(
        self,
        name: str,
        function: Any,
        arguments: tuple[Any, ...],
        seed: int | None,
        named: dict[str, Any] | None = None,
    ) -> None:
        """A call, after which `last` is the result's name. named: its keyword arguments."""
        parts = [self.shown(argument) for argument in arguments]
        parts += [f"{keyword}={self.shown(argument)}" for keyword, argument in (named or {}).items()]
        shown = ", ".join(parts)
        called = self.shown(function)
        if seed is not None:
            self.lines.append(f"torch.manual_seed({seed})")
        self._fresh(name)
        self.lines.append(f"{self.last} = {called}({shown})")

    def carry(self, *functions: Callable[..., Any]) -> None:
        """Put these functions' own source text into the script, and call them by their names from here on."""
        self._need(*functions)
        for function in functions:
            self.name(function, function.__name__)

    def define_gradient(self, output: Tensor, source: Tensor, cotangent: Tensor) -> None:
        """A vector-Jacobian product, after which `last` is its name."""
        shown = ", ".join(self.shown(part) for part in (output, source, cotangent))
        self._fresh("grad")
        if output.requires_grad and cotangent.dtype == output.dtype:
            found = f"torch.autograd.grad({shown}, retain_graph=True, materialize_grads=True)"
            self.lines.append(f"({self.last},) = {found}")
        else:
            self._need(values.gradient)
            self.lines.append(f"{self.last} = gradient({shown})")

    def define_result(
        self, name: str, function: Callable[..., Any], *arguments: Any, helpers: tuple[Any, ...] = ()
    ) -> None:
        """What a function of this project makes of the arguments; the script carries its source, and its helpers'."""
        shown = ", ".join(self.shown(argument) for argument in arguments)
        self._need(*helpers, function)
        self._fresh(name)
        self.lines.append(f"{self.last} = {function.__name__}({shown})")

    def render(self, check: str | None, message: str, loader: str) -> str:
        """The whole program. check: true for a right implementation; loader: lines that define `implementation`."""
        imports = ["from typing import Any"] * bool(self._needed) + ["", "import torch"]
        imports += ["from torch import Tensor"] * bool(self._needed)
        parts = ["import sys", *imports, "", loader, ""]
        parts += [inspect.getsource(function) + "\n" for function in self._needed.values()]
        parts += [line if isinstance(line, str) else line() for line in self.lines]
        if check is not None:
            parts += ["", f"right = bool({check})", f"print({message!r})"]
            parts += [f"print({NOT_REPRODUCED!r} if right else {REPRODUCED!r})", "sys.exit(0 if right else 1)"]
        return "\n".join(parts) + "\n"

    def _need(self, *functions: Callable[..., Any]) -> None:
        self._needed.update({function.__name__: function for function in functions})

    def _fresh(self, name: str) -> None:
        self._used[name] = self._used.get(name, 0) + 1
        self.last = name if self._used[name] == 1 else f"{name}_{self._used[name]}"


def _literal(value: Tensor) -> str:
    if value.is_meta:
        return f"torch.empty({tuple(value.shape)}, dtype={value.dtype}, device='meta')"
    listed = value.detach().cpu().double().tolist() if value.is_floating_point() else value.detach().cpu().tolist()
    shown = repr(listed).replace("inf", "float('inf')").replace("nan", "float('nan')")
    return f"torch.tensor({shown}, dtype={value.dtype}, device={str(value.device)!r})"
