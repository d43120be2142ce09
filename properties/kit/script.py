"""The script of a failure: what a law did, as a program that needs torch and the implementation only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.literals import literal
from sdtps_ref.properties.kit.naming import Naming
from sdtps_ref.properties.kit.recording import Operation
from sdtps_ref.properties.kit.rendering import UNNAMED, Loader, Statement, names_in, program, sources_called, tidy

LITERAL_LIMIT = 256  # entries a script spells out, where it knows another way to write them
SHORT = 2  # operations that are plainer to read than a tensor that is spelt out


@dataclass(frozen=True)
class Line:
    """One statement. Where it does nothing but define `pure`, it is left out unless something needs that name.

    Tensors are spelt out only if the script is wanted, hence the callable. acts: it may change its arguments.
    """

    text: str | Callable[[], str]
    pure: str = ""
    acts: bool = False


class Script(Naming):
    """Collects lines, and knows which expression each tensor is called by."""

    def __init__(self, case: Case):
        super().__init__()
        self.case = case
        self.lines: list[Line | Operation] = []
        self.last = ""
        self._needed: dict[str, Callable[..., Any]] = {}

    def record(self, operation: Operation) -> None:
        """Something that the law computed itself."""
        self.lines.append(operation)
        for place, tensor in () if operation.writes else operation.results():
            if id(tensor) not in self._names:
                self._made.setdefault(id(tensor), (operation, place))

    def shown(self, value: Any) -> str:
        """How the script writes `value`."""
        if id(value) in self._names:
            return self._names[id(value)][1]
        if isinstance(value, Tensor):
            if self.is_known(value):
                operation, place = self._made[id(value)]
                self._call(operation)
                return operation.name + place
            self.define_value("tensor", value)
            return self.last
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key!r}: {self.shown(item)}" for key, item in value.items()) + "}"
        if isinstance(value, list):
            return f"[{', '.join(map(self.shown, value))}]"
        return repr(value)

    def _call(self, operation: Operation) -> None:
        """Name an operation's result, and what it is made of."""
        if not operation.name:
            for tensor in operation.tensors():
                self.shown(tensor)
            operation.name = self._fresh_name(self._variable(operation.result) or UNNAMED)

    def define_given(self, name: str, value: Tensor, source: Tensor, recipe: str | None) -> None:
        """`value`, a detached `source`: written as the law made it, unless it is plainer to spell it out."""
        depends = self.is_known(source) and self._depends(source)
        if depends or (self.is_known(source) and self._steps(source) <= SHORT):
            self.define_value(name, value, f"{self.shown(source)}.detach()", needs=())
        else:
            self.define_value(name, value, recipe)
        if depends:
            self._given.discard(self.last)

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
            self.lines.append(Line(lambda: f"{left} = {literal(kept)}{end}", pure=left))
        self.name(value, self.last)
        self._given.add(self.last)

    def note(self, comment: str) -> None:
        """A comment for whoever reads the script."""
        self.lines.append(Line(f"# {comment}"))

    def define_build(self, method: str, arguments: dict[str, Any], seed: int) -> None:
        """A factory's call, after which `last` is the name of what it returned."""
        self._fresh(method)
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        self.lines.append(Line(f"torch.manual_seed({seed})"))
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
        self.lines.append(Line(f"{self.last} = {called}({shown})", acts=True))

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

    def render(self, check: Tensor | str | bool | None, message: str, loader: Loader, fault: BaseException) -> str:
        """The whole program. check: true for a right implementation."""
        self._raised = fault.__traceback__
        if isinstance(check, Tensor):
            self.demand(check, "what a violation's check says")
            check = self.shown(check)
        wanted = check if check is None else str(check)
        statements, used = self._what_counts(wanted)
        carried = {each.__name__: each for each in loader.carried} | self._needed
        functions = sources_called(carried, used.union(names_in(loader.text)))
        return program(statements, functions, wanted, message, loader.text)

    def _what_counts(self, check: str | None) -> tuple[list[Statement], set[str]]:
        """The lines that do something to the implementation or define what is asked of it; the names in them."""
        used = set(names_in(check or ""))
        found: list[Statement] = []
        defined: set[str] = set()  # on the lines so far: what was written to before them is in the definition
        for line in reversed(self.lines):
            unasked = check is None and not found  # what ends a script without a check is what raises
            if isinstance(line, Operation):
                statement = self._statement(line, used, defined)
                if statement is None:
                    continue
            elif line.pure and line.pure not in used and not unasked:
                continue
            else:
                statement = Statement(line.text if isinstance(line.text, str) else line.text(), acts=line.acts)
            found.append(statement)
            defined.add(statement.name or (line.pure if isinstance(line, Line) else ""))
            used.update(names_in(statement.text))
        return found[::-1], used

    def _statement(self, operation: Operation, used: set[str], defined: set[str]) -> Statement | None:
        """The operation as a line, if something needs what it made or wrote to."""
        if operation.writes:
            changed = operation.arguments[0]
            named = id(changed) in self._names or (id(changed) in self._made and self._made[id(changed)][0].name)
            if not named or (name := names_in(self.shown(changed))[0]) not in used or name in defined:
                return None
            return Statement(tidy(operation.written(self._shown_in_place)), acts=True)
        if not operation.name or operation.name not in used:
            return None
        text = tidy(f"{operation.name} = {operation.written(self._shown_in_place)}")
        return Statement(text, name=operation.name, view=operation.is_view)

    def _shown_in_place(self, value: Tensor) -> str:
        return self.shown(value) if self.is_known(value) else literal(value)

    def _need(self, *functions: Callable[..., Any]) -> None:
        self._needed.update({function.__name__: function for function in functions})

    def _fresh(self, name: str) -> None:
        self.last = self._fresh_name(name)
