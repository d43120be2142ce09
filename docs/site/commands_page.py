"""Every command's --help, as it is printed."""

import contextlib
import io
import os
import re

from sdtps_ref.__main__ import COMMANDS, main

COLUMNS = "96"
# A command of a command: one that its help lists, or says how to call.
LISTED = re.compile(r"^ {4}([a-z][\w-]*)(?: |$)", re.MULTILINE)


def commands_page() -> str:
    """Markdown, a heading a command."""
    parts = ["# Commands", "", _block(_printed(["--help"])), ""]
    for name, (_, what) in COMMANDS.items():
        said = _printed([name, "--help"])
        parts += [f"## sdtps {name}", "", f"{what.capitalize()}.", "", _block(said), ""]
        called = re.findall(rf"`sdtps {name} ([a-z][\w-]*)`", " ".join(said.split()))
        for further in dict.fromkeys([*LISTED.findall(said), *called]):
            parts += [f"### sdtps {name} {further}", "", _block(_printed([name, further, "--help"])), ""]
    return "\n".join(parts)


def _block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


def _printed(arguments: list[str]) -> str:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = COLUMNS  # argparse breaks its lines there
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
            main(arguments)
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    if not said.getvalue():
        raise RuntimeError(f"sdtps {' '.join(arguments)} printed nothing")
    return said.getvalue()
