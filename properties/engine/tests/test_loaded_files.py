"""The verdict is about every file of the user's that was loaded, and none of another state is mixed into it."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sdtps_ref.__main__ import main
from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.certificates.shards import CannotJoin, join_shards
from sdtps_ref.properties.engine.journal import Journal, JournalError
from sdtps_ref.properties.engine.loaded_files import LoadedFiles

MAIN = """
from sdtps_ref.properties.selftest.planted.baseline import Plain
from inner_of_files import RIGHT

class Mine(Plain):
    name = "mine"
    def choose(self, score, noise, keep):
        import lazy_of_files
        return super().choose(score, noise, keep)
"""
RUN = ("certify", "main_of_files.py:Mine", "--law", "decision.forward_is_hard", "--in-process")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An implementation of three files: one imports the second, and the third in its forward pass."""
    (tmp_path / "main_of_files.py").write_text(MAIN)
    (tmp_path / "inner_of_files.py").write_text("RIGHT = True\n")
    (tmp_path / "lazy_of_files.py").write_text("LAZY = True\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    forget()


def forget() -> None:
    """As a new process would have it."""
    for name in [name for name in sys.modules if name.endswith("_of_files")]:
        del sys.modules[name]


def test_the_certificate_lists_them(folder: Path) -> None:
    """All three, by their paths from the target's folder, and one sha256 over what was loaded first."""
    assert main([*RUN, "--json", "out.json"]) == 0

    told = json.loads((folder / "out.json").read_text())["implementation"]
    assert sorted(told["files"]) == ["inner_of_files.py", "lazy_of_files.py", "main_of_files.py"]
    assert told["sha256"] not in told["files"].values()


@pytest.mark.parametrize("changed", ["inner_of_files.py", "lazy_of_files.py", "main_of_files.py"])
def test_a_run_is_not_resumed_after_a_change(folder: Path, changed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever file it is in: what was judged before was another implementation."""
    assert main([*RUN]) == 0
    forget()
    (folder / changed).write_text((folder / changed).read_text() + "CHANGED = True\n")

    status = main([*RUN, "--resume"])

    said = capsys.readouterr()
    assert status == 2
    assert f"{changed} changed; start without --resume" in said.err + said.out


def test_a_run_is_resumed_where_nothing_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that was imported later than the others is no change."""
    assert main([*RUN]) == 0
    forget()

    status = main([*RUN, "--resume"])

    assert status == 0
    assert "laws are judged already" in capsys.readouterr().out


def shard(part: int, files: dict[str, str]) -> Certificate:
    """A shard of two, of an implementation with these files."""
    about = {"name": "mine", "sha256": "a" * 64, "files": files, "methods": ["selector"]}
    law = LawResult("shape.follows_inputs", "MUST", "passed", examples=9)
    return Certificate(about, {"laws": "all", "shard": f"{part}/2"}, (law,))


def test_shards_of_different_files_are_not_joined() -> None:
    """Shards may have loaded different files, and no file in different states."""
    one, two = shard(1, {"main.py": "1", "lazy.py": "2"}), shard(2, {"main.py": "1", "other.py": "3"})
    changed = replace(two, implementation=two.implementation | {"files": {"main.py": "1", "lazy.py": "9"}})

    (joined,) = join_shards([one, two])

    assert joined.implementation["files"] == {"main.py": "1", "lazy.py": "2", "other.py": "3"}
    with pytest.raises(CannotJoin, match=r"lazy\.py is not the same file in every shard"):
        join_shards([one, changed])


def test_what_is_installed_is_not_the_users() -> None:
    """Neither the standard library nor a package in site-packages nor this project is listed."""
    files = LoadedFiles()
    # Under pytest the rooms that tests lie in are packages too, by names that nobody else imports them by.
    files.before = {name for name in sys.modules if name.partition(".")[0] in ("properties", "golden", "benchmarks")}

    assert not [name for name in files.files() if "site-packages" in name or name.endswith("json/__init__.py")]
    assert not [name for name in files.files() if "/certificates/" in name and "tests" not in name]


@pytest.mark.parametrize("line", ['{"files": 3}', '{"id": 3}', "[]", '{"files": {"a": 1}}'])
def test_a_torn_journal_is_one_line(tmp_path: Path, line: str) -> None:
    """What stands in a journal besides its header is read with suspicion."""
    journal = Journal(tmp_path / "journal.jsonl", {"implementation": {"files": {}}, "environment": {}})
    journal.begin()
    with journal.path.open("a") as file:
        file.write(f"{line}\n")

    try:
        assert journal.results() == {}
    except JournalError as error:
        assert "\n" not in str(error)
