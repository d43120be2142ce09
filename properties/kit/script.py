"""The script of a failure: what a law did, as a program that needs torch and the implementation only."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.case import Case

LITERAL_LIMIT = 256  # entries a script spells out, where it knows another way to write them
REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
DIGITS = {torch.float32: 9, torch.float16: 5, torch.bfloat16: 4}  # that name each value of the dtype uniquely
IDENTIFIER = re.compile(r"(?<![\w.'\"])[A-Za-z_]\w*")


@dataclass(frozen=True)
class Line:
    """One statement. Where it does nothing but define `pure`, it is left out unless something needs that name.

    Tensors are spelt out only if the script is wanted, hence the callable.
    """

    text: str | Callable[[], str]
    pure: str = ""


class Script:
    """Collects lines, and knows which expression each tensor is called by."""

    def __init__(self, case: Case):
        self.case = case
        self.lines: list[Line] = []
        self.last = ""
        self._names: dict[int, tuple[Any, str]] = {}  # the object is held, so that its id stays its own
        self._used: dict[str, int] = {}
        self._needed: dict[str, Callable[..., Any]] = {}

    def name(self, value: Any, expression: str) -> None:
        """From here on `value` is written as `expression`."""
        if value is not None:
            self._names.setdefault(id(value), (value, expression))

    def known(self, value: Any) -> str | None:
        """How the script writes `value`, if it has a name for it."""
        return self._names[id(value)][1] if id(value) in self._names else None

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

    def define_value(
        self,
        name: str,
        value: Tensor,
        recipe: str | None = None,
        needs: tuple[Callable[..., Any], ...] = (values.draw, values.lay_out),
    ) -> None:
        """A tensor that the law made, spelt out, or written as `recipe` where that is shorter or keeps the layout.

        needs: functions that the recipe calls; one that calls none is always shorter.
        """
        self._fresh(name)
        end = ".requires_grad_()" if value.requires_grad else ""
        spelt_out = value.numel() <= LITERAL_LIMIT and value.is_contiguous()  # a literal has no strides of its own
        if recipe is not None and not (spelt_out and needs):
            self._need(*needs)
            self.lines.append(Line(f"{self.last} = {recipe}{end}", pure=self.last))
        else:
            kept, left = value.detach().clone(), self.last  # a copy: the implementation may write into its input
            self.lines.append(Line(lambda: f"{left} = {_literal(kept)}{end}", pure=left))
        self.name(value, self.last)

    def note(self, comment: str) -> None:
        """A comment for whoever reads the script."""
        self.lines.append(Line(f"# {comment}"))

    def define_build(self, method: str, arguments: dict[str, Any]) -> None:
        """A factory's call, after which `last` is the name of what it returned."""
        self._fresh(method)
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        self.lines.append(Line(f"torch.manual_seed({self.case.seed})"))
        self.lines.append(Line(f"{self.last} = implementation.{method}({given})"))

    def define_prepare(self, name: str, built: Any, training: bool) -> None:
        """How what was built came to the case's dtype, device and mode: in plain torch where that says it all."""
        dtype, device = f"torch.{self.case.dtype}", self.case.device
        modules = values.modules_in(built)
        if any(values.stir(module) for module in modules) or (modules and modules[0] is not built):
            self._need(values.modules_in, values._is_filled, values.stir, values.prepare)
            self.lines.append(Line(f"prepare({name}, {dtype}, {device!r}, training={training})"))
        elif modules:
            self.lines.append(Line(f"{name}.to({device!r}, {dtype}).{'train' if training else 'eval'}()"))

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
            self.lines.append(Line(f"torch.manual_seed({seed})"))
        self._fresh(name)
        self.lines.append(Line(f"{self.last} = {called}({shown})"))

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
            self.lines.append(Line(f"({self.last},) = {found}", pure=self.last))
        else:
            self._need(values.gradient)
            self.lines.append(Line(f"{self.last} = gradient({shown})", pure=self.last))

    def define_result(
        self, name: str, function: Callable[..., Any], *arguments: Any, helpers: tuple[Any, ...] = ()
    ) -> None:
        """What a function of this project makes of the arguments; the script carries its source, and its helpers'."""
        shown = ", ".join(self.shown(argument) for argument in arguments)
        self._need(*helpers, function)
        self._fresh(name)
        self.lines.append(Line(f"{self.last} = {function.__name__}({shown})", pure=self.last))

    def render(self, check: str | None, message: str, loader: str) -> str:
        """The whole program. check: true for a right implementation; loader: lines that define `implementation`."""
        lines, functions = self._what_counts(check)
        imports = ["from typing import Any"] * bool(functions) + ["", "import torch"]
        imports += ["from torch import Tensor"] * bool(functions)
        parts = ["import sys", *imports, "", loader, ""]
        parts += [f"\n{source}" for source in functions] + [""] * (2 if functions else 0)
        parts += lines
        if check is not None:
            parts += ["", f"right = bool({check})", f"print({message!r})"]
            parts += [f"print({NOT_REPRODUCED!r} if right else {REPRODUCED!r})", "sys.exit(0 if right else 1)"]
        return "\n".join(parts) + "\n"

    def _what_counts(self, check: str | None) -> tuple[list[str], list[str]]:
        """The lines that do something to the implementation or define what is asked of it; the functions they call."""
        used = set(IDENTIFIER.findall(check or ""))
        lines: list[str] = []
        for line in reversed(self.lines):
            unasked = check is None and not lines  # what ends a script without a check is what raises
            if line.pure and line.pure not in used and not unasked:
                continue
            lines.append(line.text if isinstance(line.text, str) else line.text())
            used.update(IDENTIFIER.findall(lines[-1]))
        sources = {name: inspect.getsource(function) for name, function in self._needed.items()}
        called: set[str] = set()
        while new := (used & sources.keys()) - called:
            called |= new
            used.update(*(IDENTIFIER.findall(sources[name]) for name in new))
        return lines[::-1], [source for name, source in sources.items() if name in called]

    def _need(self, *functions: Callable[..., Any]) -> None:
        self._needed.update({function.__name__: function for function in functions})

    def _fresh(self, name: str) -> None:
        self._used[name] = self._used.get(name, 0) + 1
        self.last = name if self._used[name] == 1 else f"{name}_{self._used[name]}"


def _literal(value: Tensor) -> str:
    if value.is_meta:
        return f"torch.empty({tuple(value.shape)}, dtype={value.dtype}, device='meta')"
    flat = value.detach().cpu().flatten()
    first = number(flat[0].item(), value.dtype) if len(flat) else "0"
    if len(flat) > 8 and (flat == flat[0]).all():
        return f"torch.full({tuple(value.shape)}, {first}, dtype={value.dtype}, device={str(value.device)!r})"
    shown = _listed(value.detach().cpu().tolist(), value.dtype)
    return f"torch.tensor({shown}, dtype={value.dtype}, device={str(value.device)!r})"


def _listed(part: Any, dtype: torch.dtype) -> str:
    if isinstance(part, list):
        return f"[{', '.join(_listed(item, dtype) for item in part)}]"
    return number(part, dtype)


def number(value: float, dtype: torch.dtype = torch.float64) -> str:
    """The value as Python writes it, with no more digits than its dtype tells apart."""
    if isinstance(value, float) and value - value != 0:
        return f"float({str(value)!r})"
    return repr(float(f"{value:.{DIGITS[dtype]}g}")) if dtype in DIGITS else repr(value)
