"""The hostile gallery: a run on each of them ends within its minute, with a valid certificate or exit status 2."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sdtps_ref.properties.certificates.reading import read_certificate

FOLDER = Path(__file__).with_name("hostile")
SUBJECTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
# Those that take no more than a few seconds; one of them every day, the others of them with the marker `slow`, and
# what takes longer with `deep`.
EVERYDAY = "replaces_the_judge"
QUICK = ("forges_answers", "forges_lines", "raises_the_judges_signals", "stubs")
SECONDS = 60


def test_there_are_twenty() -> None:
    """Of all that people, mistakes and broken machines come up with."""
    assert len(SUBJECTS) >= 20


@pytest.mark.parametrize(
    "name",
    [
        EVERYDAY,
        *(pytest.param(name, marks=pytest.mark.slow) for name in QUICK),
        *(pytest.param(name, marks=pytest.mark.deep) for name in SUBJECTS if name not in (EVERYDAY, *QUICK)),
    ],
)
def test_it_ends_in_time_with_a_certificate_or_without(name: str, tmp_path: Path) -> None:
    """None is certified, none prints a traceback or a line that looks like a verdict, and nothing stays behind."""
    (tmp_path / f"{name}.py").write_text((FOLDER / f"{name}.py").read_text())
    command = [sys.executable, "-m", "sdtps_ref", "certify", f"{name}.py:Mine", "--json", "out.json"]
    started = time.monotonic()

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=4 * SECONDS)

    took = time.monotonic() - started
    said = done.stdout + done.stderr
    assert done.returncode in ((0, 1, 2) if name in HARMLESS else (1, 2)), said
    assert took < SECONDS, said
    assert "Traceback" not in said
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", said)
    assert done.returncode == 0 or not re.search(r"^\s*CERTIFIED", said, re.MULTILINE)
    if (tmp_path / "out.json").exists():
        assert read_certificate(tmp_path / "out.json").exit_status == done.returncode
    else:
        assert done.returncode == 2
    assert not left_behind(tmp_path)


# What these do spoils nothing that is judged, and is noted.
HARMLESS = ("leaves_processes", "leaves_threads", "shouts", "tidies_up")


def left_behind(folder: Path) -> list[str]:
    """Processes that work in the folder of the run, by their command lines."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "cwd").resolve() == folder.resolve():
                found.append(json.dumps((process / "cmdline").read_bytes().decode(errors="replace")))
        except OSError:
            continue
    return found
