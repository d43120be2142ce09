"""What a page of the documentation shows, held to what happens: blocks of code run, and print what they say."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from sdtps_ref.__main__ import commands
from sdtps_ref.command_line.table import check_accepted

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BLOCK = re.compile(r"^(?:<!-- not run: ([^\n]+) -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w.]+\.(?:py|toml))\n")  # the first line of a block that is a file
# As long as it takes, how often that was, and which case is the smallest that a release of hypothesis finds.
VARYING = re.compile(
    r"\d+\.\d+ ?s\b|\d+(?= examples)|\bat B=\d+ .*?seed \d+|(?<=\[)b=\d+, n=\d+(?=\])|\d+ of \d+(?= entries)"
    r"|\d+(?: of \d+)?(?= laws)"
)
MARKER = "=== exit status "


class DocMismatch(AssertionError):
    """A page shows what is not so."""


@dataclass(frozen=True)
class Block:
    """A fenced block; `unrun` is the reason why it is not run, empty if it is."""

    unrun: str
    language: str
    text: str


@dataclass(frozen=True)
class Call:
    """A line behind `$ `, and what the page says that it prints, `...` standing for whatever is left out."""

    command: str
    printed: str


NOT_RUN = ("text", "diff")


def blocks_of(page: Path) -> list[Block]:
    """Every fenced block of a page but plain text, which is for formulas, and diffs, of code that is not here."""
    blocks = [Block(*found) for found in BLOCK.findall(page.read_text(encoding="utf-8"))]
    return [block for block in blocks if block.language not in NOT_RUN]


def check_block(block: Block, folder: Path) -> None:
    """Run a block in `folder`, whatever its language asks for. Raises DocMismatch, or what the code raises."""
    if block.language not in HELD:
        raise DocMismatch(f"a block of {block.language or 'no language'}; accepted: {', '.join((*NOT_RUN, *HELD))}")
    HELD[block.language](block.text, folder)


def calls_of(text: str) -> list[Call]:
    """The commands of a console block."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    if parts[0]:
        raise DocMismatch(f"a console block begins with a command, not with {parts[0]!r}")
    return [Call(*pair) for pair in zip(parts[1::2], parts[2::2], strict=True)]


def write(text: str, folder: Path) -> bool:
    """Write the block as the file that its first line names, if it names one."""
    named = FILE.match(text)
    if named:
        (folder / named[1]).write_text(text, encoding="utf-8")
    return named is not None


def _python(text: str, folder: Path) -> None:
    if not write(text, folder):
        exec(compile(text, str(folder), "exec"), {})  # a process of its own would spend its time importing torch


def _toml(text: str, folder: Path) -> None:
    tomllib.loads(text)
    write(text, folder)


def _bash(text: str, folder: Path) -> None:
    """Each line is a command of ours, and takes these arguments; what it does with them takes too long here."""
    for words in filter(None, (shlex.split(line, comments=True) for line in text.splitlines())):
        if words[0] != "sdtps":
            raise DocMismatch(f"{words[0]} is no command of ours; accepted after a comment that says why it is not run")
        try:
            check_accepted(commands(), words[1:])
        except click.UsageError as error:
            raise DocMismatch(f"{shlex.join(words)} is not accepted: {error.message}") from error


def _agrees(printed: str, shown: str) -> bool:
    """Whether a page shows what was printed, but for what varies, line breaks, and what its `...` leave out."""
    words, *expected = (VARYING.sub("0", " ".join(part.split())) for part in (printed, *shown.split("...")))
    return re.fullmatch(" ?.*? ?".join(map(re.escape, expected)), words, re.DOTALL) is not None


def _console(text: str, folder: Path) -> None:
    """Run the commands in one shell; each prints what it should and ends well, unless its status is shown next."""
    calls = calls_of(text)
    lines = [f'{call.command}\nstatus=$?; echo "{MARKER}$status"; (exit $status)' for call in calls]
    environment = os.environ | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"}
    script = ["bash", "-c", "exec 2>&1\n" + "\n".join(lines)]
    done = subprocess.run(script, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    said = re.split(rf"{MARKER}(\d+)\n", done.stdout)
    for number, (call, printed, status) in enumerate(zip(calls, said[::2], said[1::2], strict=False)):
        if not _agrees(printed, call.printed):
            raise DocMismatch(f"$ {call.command}\nprints\n{printed}\nand the page says\n{call.printed}")
        shown = number + 1 < len(calls) and calls[number + 1].command == "echo $?"
        if status != "0" and not shown:
            raise DocMismatch(f"$ {call.command}\nexit status {status}\n{printed}")
    if len(said) // 2 != len(calls):
        raise DocMismatch(f"the shell ended before its last command\n{done.stdout}")


HELD: dict[str, Callable[[str, Path], None]] = {"python": _python, "console": _console, "bash": _bash, "toml": _toml}
