"""Types of options and arguments; each says what was given and what is accepted."""

import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FILE = click.Path(path_type=Path)


def refuse(parameter: click.Parameter | None, value: Any, accepted: str, ctx: click.Context | None) -> click.UsageError:
    """What a type raises for a value that it does not take."""
    name = ""
    if parameter is not None:
        name = parameter.opts[-1] if parameter.param_type_name == "option" else parameter.human_readable_name
    given = " ".join(filter(None, (name, shlex.quote(str(value)))))
    return click.BadParameter(f"given {given}; accepted: {accepted}", ctx, parameter)


class Choice(click.Choice):
    """One of these names."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name itself."""
        if value not in self.choices:
            raise refuse(param, value, ", ".join(map(str, self.choices)), ctx)
        return value


class Parsed(click.ParamType):
    """What a function makes of the text; it raises ValueError for what is not accepted."""

    def __init__(self, name: str, parse: Callable[[str], Any], accepted: str):
        self.name, self.parse, self.accepted = name, parse, accepted

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value; a default is one already."""
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except ValueError as error:
            raise refuse(param, value, self.accepted, ctx) from error


def whole(least: int | None = None) -> Parsed:
    """Whole numbers, from `least` on."""

    def parse(text: str) -> int:
        number = int(text)
        if least is not None and number < least:
            raise ValueError
        return number

    return Parsed("number", parse, "a whole number" if least is None else f"{least} or more")


def above(least: float, accepted: str) -> Parsed:
    """Finite numbers above `least`."""

    def parse(text: str) -> float:
        number = float(text)
        if not least < number < math.inf:
            raise ValueError
        return number

    return Parsed("number", parse, accepted)
