"""The table of commands as a click group: a module is imported only when its command is called."""

import contextlib
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from sdtps_ref.command_line.command import Command, unknown

Table = Mapping[str, tuple[str, str]]  # name, of one word or two: "module:function", and a line for the help


class CommandTable(click.Group):
    """The commands of a table.

    Args:
        table: `"bench": ("package.module:function", "what it does")`. A name of two words is a command below another;
            one without a function of its own has commands below it alone.
        moved: for (command, option) that is no more, what replaced it.
    """

    def __init__(self, table: Table, moved: Mapping[tuple[str, str], str], **attributes: Any):
        super().__init__(**attributes)
        self.table, self.moved = table, moved

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the options of `sdtps` itself; `help COMMAND` is `COMMAND --help`."""
        return super().parse_args(ctx, [*args[1:], "--help"] if args[:1] == ["help"] else args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands of one word, in the table's order."""
        return [name for name in self.table if " " not in name]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None where there is none of that name."""
        if cmd_name not in self.table:
            return None
        source, line = self.table[cmd_name]
        if not source:
            found = Command(cmd_name, help=f"{line.capitalize()}.")
        else:
            module, _, attribute = source.partition(":")
            found = getattr(import_module(module), attribute)
        if isinstance(found, Command):
            found.subcommands = self.below(cmd_name)
        return found

    def below(self, name: str) -> dict[str, str]:
        """The commands whose name begins with this one's, with a line on each."""
        prefix = f"{name} "
        return {full.removeprefix(prefix): line for full, (_, line) in self.table.items() if full.startswith(prefix)}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first two words name, or the first alone. Raises click.UsageError."""
        words = 2 if " ".join(args[:2]) in self.table else 1
        name = " ".join(args[:words])
        found = self.get_command(ctx, name)
        if found is None and not ctx.resilient_parsing:
            raise unknown("command", name, [*self.list_commands(ctx), "help"], ctx)
        return name if found else None, found, args[words:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table into the help, and import nothing for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.table[name][1]) for name in self.list_commands(ctx)])


def check_accepted(table: CommandTable, arguments: list[str]) -> None:
    """Take the arguments apart as a run would, without running anything. Raises click.UsageError."""
    with click.Context(table, info_name="sdtps", **table.context_settings) as context:
        name, found, rest = table.resolve_command(context, list(arguments))
        assert found is not None
        with contextlib.suppress(click.exceptions.Exit):  # after its --help
            found.make_context(name, rest, parent=context).close()


def complete(table: CommandTable, instruction: str) -> int:
    """Answer the shell, which asks for completions through the variable `_SDTPS_COMPLETE`. Returns the exit status."""
    from click.shell_completion import shell_complete

    status = shell_complete(table, {}, "sdtps", "_SDTPS_COMPLETE", instruction)
    sys.stdout.flush()
    return status
