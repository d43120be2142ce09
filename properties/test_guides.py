"""The guides in docs/guides: every block of code in them runs, and prints what they say."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

# How many blocks of code each has, so that none is overlooked.
GUIDES = {"certify-in-five-minutes": 7, "read-a-certificate": 2, "why-the-loss-exploded": 4, "in-ci": 0}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w.]+\.py)\n")  # the first line of a block that is a file
VARYING = re.compile(r"\d+\.\d+ ?s\b|\d+(?= examples)")  # as long as it takes, and how often that was
MARKER = "=== exit status "


@dataclass(frozen=True)
class Call:
    """A line behind `$ `, and what the guide says that it prints, `...` standing for whatever is left out."""

    command: str
    printed: str


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An empty folder with what lies beside the guides, and `sdtps` and `python` on the way to be found."""
    guides = guides_of(request)
    for file in guides.iterdir():
        shutil.copy(file, tmp_path)
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, module in (("sdtps", "-m sdtps_ref"), ("pytest", "-m pytest -p no:cacheprovider"), ("python", "")):
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        (commands / name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("name", GUIDES)
def test_what_a_guide_shows_is_so(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From top to bottom in one folder: files are written, scripts end well, commands print what stands below them."""
    blocks = BLOCK.findall((folder / f"{name}.md").read_text())
    monkeypatch.chdir(folder)

    for language, text in blocks:
        if language == "console":
            run_console(calls_of(text), folder)
        else:
            run_python(text, folder)

    assert {language for language, _ in blocks} <= {"python", "console"}
    assert len(blocks) == GUIDES[name]


def test_every_guide_is_tested(request: pytest.FixtureRequest) -> None:
    """A guide that is added is added to GUIDES."""
    assert sorted(path.stem for path in guides_of(request).glob("*.md")) == sorted(GUIDES)


def test_links_between_guides_lead_somewhere(request: pytest.FixtureRequest) -> None:
    """Every relative link and picture is a file beside the guide that names it."""
    for path in guides_of(request).glob("*.md"):
        targets = re.findall(r"\]\(([\w./-]+)\)", path.read_text())
        absent = [target for target in targets if not (path.parent / target).is_file()]

        assert absent == []


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("$ echo one\ntwo\n", "prints"),
        ("$ false\n", "exit status 1"),
        ("$ (exit 3)\n$ echo $?\n1\n", "prints"),
    ],
)
def test_a_guide_that_is_wrong_is_seen(script: str, says: str, tmp_path: Path) -> None:
    """Another output, or a failing command whose status is not shown."""
    (tmp_path / "bin").mkdir()

    with pytest.raises(AssertionError, match=says):
        run_console(calls_of(script), tmp_path)


def guides_of(request: pytest.FixtureRequest) -> Path:
    """The guides of the checkout whose settings pytest runs with: they are no part of the wheel."""
    guides = Path(request.config.inipath or "").parent / "docs" / "guides"
    if not guides.is_dir():
        pytest.skip(f"the guides lie in a checkout, and {guides} is none")
    return guides


def calls_of(text: str) -> list[Call]:
    """The commands of a console block."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    assert parts[0] == "", f"a console block begins with a command, not with {parts[0]!r}"
    return [Call(*pair) for pair in zip(parts[1::2], parts[2::2], strict=True)]


def run_python(text: str, folder: Path) -> None:
    """Write the block as the file that its first line names, or run it."""
    if named := FILE.match(text):
        (folder / named[1]).write_text(text)
        return
    exec(compile(text, str(folder), "exec"), {})  # a process of its own would spend its time importing torch


def agrees(printed: str, shown: str) -> bool:
    """Whether the guide shows what was printed, but for times, counts, line breaks, and what its `...` leave out."""
    parts = (re.escape(" ".join(part.split())) for part in VARYING.sub("0", shown).split("..."))
    words = " ".join(VARYING.sub("0", printed).split())
    return re.fullmatch(" ?.*? ?".join(parts), words, re.DOTALL) is not None


def run_console(calls: list[Call], folder: Path) -> None:
    """Run the commands in one shell; each prints what it should and ends well, unless its status is shown next."""
    lines = [f'{call.command}\nstatus=$?; echo "{MARKER}$status"; (exit $status)' for call in calls]
    environment = os.environ | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"}
    done = subprocess.run(
        ["bash", "-c", "exec 2>&1\n" + "\n".join(lines)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = re.split(rf"{MARKER}(\d+)\n", done.stdout)
    for number, (call, printed, status) in enumerate(zip(calls, said[::2], said[1::2], strict=False)):
        assert agrees(printed, call.printed), f"$ {call.command}\nprints\n{printed}\nand the guide says\n{call.printed}"
        shown = number + 1 < len(calls) and calls[number + 1].command == "echo $?"
        assert status == "0" or shown, f"$ {call.command}\nexit status {status}\n{printed}"
    assert len(said) // 2 == len(calls), done.stdout
