"""The lines that work with a number of Python's own, or with what is worked out from it."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.watching.record import _is_theirs

BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
COMPARED = ("lt", "le", "gt", "ge")
UNARY = ("neg", "pos", "abs", "float", "int", "index", "round", "bool")
OF_MATH = ("exp", "log", "sqrt", "pow", "cos", "sin", "tanh", "floor", "ceil", "log1p", "expm1")
PLAIN = ("__float__", "__int__", "__index__", "__bool__")  # whose results Python takes as they are


class _Traced:
    """Marks the numbers that are traced."""


def traced(value: float, kind: type[int] | type[float], step: float, note: Callable[[SourceLine], None]) -> Any:
    """A number that tells by `note` of every line of the user's that works with it; not of what advances it."""

    def made(result: Any) -> Any:
        if type(result) not in (int, float):
            return result
        return traced(result, float if kind is float else type(result), float("nan"), note)

    def told() -> None:
        frame = sys._getframe(2)
        if _is_theirs(frame.f_code.co_filename):
            note(SourceLine(frame.f_code.co_filename, frame.f_lineno))

    def binary(name: str) -> Callable[[Any, Any], Any]:
        def work(self: Any, other: Any) -> Any:
            result = getattr(kind, name)(self, other)
            if result is NotImplemented:
                return result
            if name not in ("__add__", "__radd__", "__sub__") or abs(other) != abs(step):
                told()
            return made(result)

        return work

    def unary(name: str) -> Callable[..., Any]:
        def work(self: Any, *more: Any) -> Any:
            told()
            result = getattr(kind, name)(self, *more)
            return result if name in PLAIN else made(result)

        return work

    names = [*(f"__{n}__" for n in (*BINARY, *COMPARED)), *(f"__r{n}__" for n in BINARY)]
    methods: dict[str, Any] = {name: binary(name) for name in names}
    methods |= {f"__{n}__": unary(f"__{n}__") for n in UNARY if hasattr(kind, f"__{n}__")}
    methods |= {"__hash__": kind.__hash__, "made": staticmethod(made), "told": staticmethod(told)}
    return type("Traced", (_Traced, kind), methods)(value)


@contextlib.contextmanager
def _math_of_the_traced() -> Iterator[None]:
    """The functions of `math` hand on that a number is traced."""
    own = {name: getattr(math, name) for name in OF_MATH}

    def handing_on(function: Callable[..., Any]) -> Callable[..., Any]:
        def work(*given: Any) -> Any:
            result = function(*given)
            known = next((value for value in given if isinstance(value, _Traced)), None)
            if known is None:
                return result
            known.told()  # type: ignore[attr-defined]
            return known.made(result)  # type: ignore[attr-defined]

        return work

    try:
        for name, function in own.items():
            setattr(math, name, handing_on(function))
        yield
    finally:
        for name, function in own.items():
            setattr(math, name, function)


def uses(
    run: Callable[[], Any], held: dict[str, Any], name: str, step: float, until: Callable[[], bool]
) -> list[SourceLine]:
    """The lines of a run, in order, that work with the number that is held there; none where it cannot be told.

    until: whether what it is worked out for has been computed.
    """
    lines: list[SourceLine] = []
    value = held[name]

    def note(line: SourceLine) -> None:
        if not until():
            lines.append(line)

    try:
        for kind in (float, type(value)):  # a float, where that will do: what Python makes of both stays traced
            lines.clear()
            held[name] = traced(kind(value), kind, step, note)
            try:
                with _math_of_the_traced():
                    run()
            except Exception:  # the code may ask for a whole number, or for one of exactly that type
                continue
            if lines:
                break
    finally:
        held[name] = value
    return lines
