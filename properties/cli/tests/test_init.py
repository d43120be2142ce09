"""`sdtps init` in a project that knows nothing of sdtps yet."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sdtps_ref.__main__ import main
from sdtps_ref.properties.cli.init import FILES
from sdtps_ref.properties.contract import METHODS, provided
from sdtps_ref.properties.targets.target import load


def test_init_writes_and_tells_the_next_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two files; the adapter shows all of the contract's methods; the next command is printed as it is to be typed."""
    folder = tmp_path / "new" / "project"

    status = main(["init", str(folder)])

    said = capsys.readouterr().out
    assert status == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert said.splitlines()[-1] == f"next: sdtps certify {folder / 'sdtps_adapter.py'}:Mine"
    assert provided(load(f"{folder / 'sdtps_adapter.py'}:Mine")) == ("selector",)
    assert all(f"def {method}(self, *, " in (folder / "sdtps_adapter.py").read_text() for method in METHODS)


@pytest.mark.parametrize("name", FILES)
def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """One file in the way: exit 2, it is named, it is left as it was, and the other one is not written."""
    (tmp_path / name).write_text("mine")

    status = main(["init", str(tmp_path)])

    assert status == 2
    assert f"{name} exist already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_init_wants_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file in the place of the folder gets one line."""
    (tmp_path / "file").write_text("")

    assert main(["init", str(tmp_path / "file")]) == 2
    assert "accepted: a folder" in capsys.readouterr().err


@pytest.mark.slow
def test_what_init_wrote_runs(tmp_path: Path) -> None:
    """As it is, nothing is measured and the first thing to write is named; with a selector, the tests pass."""
    environment = os.environ | {"COLUMNS": "200"}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-m", *command)
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    assert run("sdtps_ref", "init").returncode == 0
    empty = run("sdtps_ref", "certify", "sdtps_adapter.py:Mine")
    adapter = tmp_path / "sdtps_adapter.py"
    adapter.write_text(
        "from sdtps_ref.properties.selftest.planted.baseline import Plain\n"
        + adapter.read_text().replace(
            'raise NotImplementedError("selector is not written yet")',
            "return Plain().selector(dim=dim, num_tokens=num_tokens, keep=keep, tau=tau)",
        )
    )
    tests = run("pytest", "-q", "-p", "no:cacheprovider", "-k", "selection.gathers_kept_tokens")

    assert empty.returncode == 2
    assert "selector raises NotImplementedError (selector is not written yet)" in empty.stderr
    assert tests.returncode == 0, tests.stdout
    assert "1 passed" in tests.stdout
