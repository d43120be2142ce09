"""Every command's --help, as it is printed."""

import contextlib
import io
import os

from sdtps_ref.__main__ import COMMANDS, main

COLUMNS = "96"


def commands_page() -> str:
    """Markdown, a heading a command."""
    parts = ["# Commands", "", _block(_printed(["--help"])), ""]
    for name, (_, what) in sorted(COMMANDS.items(), key=_place):
        level = "##" + "#" * name.count(" ")
        parts += [
            f"{level} sdtps {name}",
            "",
            f"{what.capitalize()}.",
            "",
            _block(_printed([*name.split(), "--help"])),
            "",
        ]
    return "\n".join(parts)


def _place(entry: tuple[str, tuple[str, str]]) -> int:
    """A command of two words stands below the one that its first word names."""
    return list(COMMANDS).index(entry[0].partition(" ")[0])


def _block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


def _printed(arguments: list[str]) -> str:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = COLUMNS  # where lines are broken
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            main(arguments)
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    if not said.getvalue():
        raise RuntimeError(f"sdtps {' '.join(arguments)} printed nothing")
    return said.getvalue()
