"""Run a command: the one place where an error becomes a line on standard error and an exit status.

A command's own statuses mean something (1: refused), so whatever goes wrong is 2, an interrupt 130, SIGTERM 143.
"""

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import click

from sdtps_ref.command_line.messages import say_error
from sdtps_ref.command_line.table import CommandTable, complete
from sdtps_ref.command_line.usage import usage_line
from sdtps_ref.errors import SDTPSError
from sdtps_ref.visible import visible_lines

COULD_NOT, INTERRUPTED, TERMINATED = 2, 128 + signal.SIGINT, 128 + signal.SIGTERM


class Terminated(KeyboardInterrupt):
    """SIGTERM: what is to be done before the end is what Ctrl-C asks for."""


@contextlib.contextmanager
def if_interrupted(advice: str) -> Iterator[None]:
    """Let an interrupt in the block say how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.args = (advice,)
        raise


def exit_status(root: click.Command, arguments: list[str]) -> int:
    """Run what the arguments ask `sdtps`, or a command of its own, for; every error is told here."""
    name = root.name or "sdtps"
    verbose = "--verbose" in arguments
    context: click.Context | None = None
    if not arguments and isinstance(root, CommandTable):
        print(root.get_help(click.Context(root, info_name=name, **root.context_settings)), file=sys.stderr)
        return COULD_NOT
    try:
        with root.make_context(name, list(arguments)) as context:
            status = root.invoke(context)
        if sys.stdout is not None:
            sys.stdout.flush()
        return int(status or 0)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except BaseException as error:
        if context is not None and context.invoked_subcommand:
            name = f"{name} {context.invoked_subcommand}"
        line, status = told(error, name, getattr(root, "moved", {}))
        if verbose:
            text = getattr(error, "traceback", "") or "".join(traceback.format_exception(error))
            with contextlib.suppress(OSError, ValueError):
                print(visible_lines(text), file=sys.stderr)
        say_error(name, line)
        return status


def told(error: BaseException, name: str, moved: Mapping[tuple[str, str], str]) -> tuple[str, int]:
    """An error in one line, and the exit status. Raises SystemExit again."""
    if isinstance(error, click.UsageError):
        return usage_line(error, moved), COULD_NOT
    if isinstance(error, SDTPSError):
        return str(error), COULD_NOT
    if isinstance(error, KeyboardInterrupt):
        word, status = ("terminated", TERMINATED) if isinstance(error, Terminated) else ("interrupted", INTERRUPTED)
        return "; ".join((word, *map(str, error.args))), status
    if isinstance(error, BrokenPipeError):
        return "standard output was closed before all was written", COULD_NOT
    if isinstance(error, OSError):
        return ": ".join(filter(None, (error.filename, str(error.strerror or error)))), COULD_NOT
    if isinstance(error, MemoryError):
        return "out of memory", COULD_NOT
    if isinstance(error, SystemExit):
        raise error
    called = name.replace("sdtps", "sdtps --verbose", 1)
    return f"a defect of sdtps: {type(error).__name__}: {error}; `{called} ...` shows where", COULD_NOT


def run_program(table: CommandTable) -> NoReturn:
    """Be the program `sdtps`: run what its command line asks for, and end the process."""
    _prepare_streams()
    _raise_on_sigterm()
    if instruction := os.environ.get("_SDTPS_COMPLETE"):
        sys.exit(complete(table, instruction))
    status = exit_status(table, sys.argv[1:])
    _close_streams()
    sys.exit(status)


def _prepare_streams() -> None:
    """Let what an encoding lacks be written as its escape; where there is no stream, write to nowhere."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _close_streams() -> None:
    """Throw away what cannot be written: the interpreter would try again, and end with a status of its own."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _raise_on_sigterm() -> None:
    """Raise Terminated in this process, and in no process that is forked from it."""
    own = os.getpid()

    def stop(number: int, frame: Any) -> None:
        if os.getpid() == own:
            raise Terminated
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, stop)
