"""What the guide teaches is certified: its code as it stands at the end, by the profile that it recommends."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "certify-in-five-minutes.md"


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A folder with the guide's files, after all that the guide does to them."""
    guide = GUIDE.read_text(encoding="utf-8")
    for name, body in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", guide, re.DOTALL):
        (tmp_path / name).write_text(body)
    edits = re.findall(r"^\$ (sed -i '.*' my_model\.py)$", guide, re.MULTILINE)
    assert len(edits) == 3
    for edit in edits:
        subprocess.run(edit, shell=True, cwd=tmp_path, check=True)
    return tmp_path


def certified(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What `sdtps certify` says of it."""
    command = [sys.executable, "-m", "sdtps_ref", "certify", "sdtps_adapter.py:Mine", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.slow
def test_it_is_right_when_it_is_compiled(finished: Path) -> None:
    """Where a scattered mask would come out as zeros."""
    done = certified(finished, "--law", "runtime.compiled_equals_eager")

    assert done.returncode == 0, done.stdout
    assert "passed   runtime.compiled_equals_eager" in done.stdout


@pytest.mark.deep
def test_it_is_certified_in_ci(finished: Path) -> None:
    """By every law of the profile."""
    done = certified(finished, "--profile", "ci")

    assert done.returncode == 0, done.stdout
    assert "CERTIFIED, level pipeline" in done.stdout
