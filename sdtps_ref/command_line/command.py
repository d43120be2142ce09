"""A command and its parameters: click's, with a description of each argument and headings over the options."""

from collections.abc import Callable
from typing import Any

import click


class Argument(click.Argument):
    """A positional argument that `--help` describes."""

    def __init__(self, *declaration: Any, description: str = "", **attributes: Any):
        super().__init__(*declaration, **attributes)
        self.description = description

    def make_metavar(self, ctx: click.Context) -> str:
        """Its name, in brackets where it may be left out."""
        name = self.human_readable_name + "..." * (self.nargs != 1)
        return name if self.required else f"[{name}]"


class Option(click.Option):
    """An option that `--help` shows below a heading."""

    def __init__(self, *declaration: Any, heading: str = "Options", **attributes: Any):
        super().__init__(*declaration, **attributes)
        self.heading = heading


class Command(click.Command):
    """A command. `subcommands`: those that have a name of their own behind this one's, with a line on each."""

    subcommands: dict[str, str] = {}  # noqa: RUF012

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the arguments apart. Raises click.UsageError, also for one too many."""
        ctx.allow_extra_args = True  # to say in our own words which are too many
        try:
            rest = super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise
        if rest and self.callback is None:
            raise unknown("command", rest[0], self.subcommands, ctx)
        if rest:
            taken = " ".join(p.make_metavar(ctx) for p in self.params if isinstance(p, click.Argument))
            raise click.UsageError(f"given {rest[0]!r} as well; accepted: {taken or 'options alone'}", ctx)
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        """Call the function. Raises click.UsageError where there is none, only commands below this one."""
        if self.callback is None:
            raise click.UsageError(f"given no command; accepted: {', '.join(self.subcommands)}", ctx)
        return super().invoke(ctx)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The parts of the first line of `--help`."""
        return super().collect_usage_pieces(ctx) + ["COMMAND"] * (self.callback is None)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write arguments, options under their headings, and subcommands into the help."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, Argument):
                name = parameter.metavar or parameter.human_readable_name
                sections.setdefault("Arguments", []).append((name, parameter.description))
            elif record := parameter.get_help_record(ctx):
                sections.setdefault(getattr(parameter, "heading", "Options"), []).append(record)
        if "Options" in sections:  # the general ones, --help among them, last
            sections["Options"] = sections.pop("Options")
        if self.subcommands:
            sections["Commands, each with a --help of its own"] = list(self.subcommands.items())
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def command(**attributes: Any) -> Callable[[Callable[..., int]], Command]:
    """Make a function into a command. Its docstring is the help; what it returns is the exit status."""
    return click.command(cls=Command, **attributes)


def option(*declaration: str, **attributes: Any) -> Callable[[Any], Any]:
    """Add an option to the function below."""
    return click.option(*declaration, cls=Option, **attributes)


def argument(*declaration: str, **attributes: Any) -> Callable[[Any], Any]:
    """Add a positional argument to the function below."""
    return click.argument(*declaration, cls=Argument, **attributes)


def together(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options or arguments as one decorator, shown in this order."""

    def add(function: Any) -> Any:
        for each in reversed(decorators):
            function = each(function)
        return function

    return add


def unknown(kind: str, given: str, known: Any, ctx: click.Context | None) -> click.UsageError:
    """What to raise for a name that is not among those that are known."""
    from sdtps_ref.errors import InvalidInput

    return click.UsageError(str(InvalidInput.unknown(kind, given, known)), ctx)
