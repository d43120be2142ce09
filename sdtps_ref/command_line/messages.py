"""What a command says: results on standard output, everything that is wrong on standard error, a line each."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from sdtps_ref.visible import visible, visible_lines

if TYPE_CHECKING:
    from rich.console import Console

LONGEST = 2000  # characters of a line; what is accepted may be many names


def complain(line: str) -> None:
    """Say on standard error what is wrong, in the name of the command that runs."""
    context = click.get_current_context(silent=True)
    say_error("sdtps" if context is None else context.command_path, line)


def say_error(name: str, line: str) -> None:
    """Write `NAME: LINE` on standard error, red on a terminal. What cannot be written is lost."""
    text = f"{name}: {visible(' '.join(line.split()), LONGEST)}"
    with contextlib.suppress(OSError, ValueError):
        print(click.style(text, fg="red", bold=True) if sys.stderr.isatty() else text, file=sys.stderr, flush=True)


def results_console() -> "Console":
    """Where results are printed. A reader that goes away raises BrokenPipeError there, and not SystemExit(1).

    No escape sequence gets out but its own.
    """
    from rich.console import Console
    from rich.segment import Segment

    class ResultsConsole(Console):
        def on_broken_pipe(self) -> Any:
            raise

        def render(self, *given: Any, **named: Any) -> Iterator[Segment]:
            for segment in super().render(*given, **named):
                text, style, control = segment
                yield segment if control or text.isprintable() else Segment(visible_lines(text), style)

    return ResultsConsole(highlight=False, markup=False)
