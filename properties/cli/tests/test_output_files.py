"""What is written replaces what was there at the end, or not at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sdtps_ref import output_files
from sdtps_ref.output_files import replace_text, write_new


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that has no room for what is written; seen when it is flushed."""

    def refuse(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(output_files.os, "fsync", refuse)


def test_the_text_is_written(tmp_path: Path) -> None:
    """As it is, whatever the platform's line ends; what UTF-8 cannot hold as its escape."""
    path = tmp_path / "file"

    replace_text(path, "é\r\n\n\udcff")

    assert path.read_bytes() == "é\r\n\n\\udcff".encode()
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, full_disk: None) -> None:
    """With nothing beside it, and an error that names the file."""
    path = tmp_path / "certificate.json"
    path.write_text("old")

    with pytest.raises(OSError, match="No space left") as caught:
        replace_text(path, "new")

    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["certificate.json"]


def test_a_mode_and_a_link_are_kept(tmp_path: Path) -> None:
    """A new file gets the mode that any program would give it; an old one keeps its own, also behind a link."""
    private, link, new, usual = (tmp_path / name for name in ("private", "link", "new", "usual"))
    private.write_text("old")
    private.chmod(0o600)
    link.symlink_to(private)
    usual.write_text("")

    replace_text(link, "new")
    replace_text(new, "new")

    assert link.is_symlink() and private.read_text() == "new"
    assert private.stat().st_mode & 0o777 == 0o600
    assert new.stat().st_mode == usual.stat().st_mode


def test_what_is_no_file_is_written_to() -> None:
    """`--json /dev/stdout` prints the certificate, and does not put a file in the device's place."""
    program = (
        "from pathlib import Path; from sdtps_ref.output_files import replace_text;"
        "replace_text(Path('/dev/stdout'), 'printed')"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "printed"


def test_a_new_file_overwrites_nothing(tmp_path: Path) -> None:
    """Neither one that was there, nor leaves half of itself where the disk is full."""
    path = tmp_path / "file"
    write_new(path, "first")

    with pytest.raises(FileExistsError):
        write_new(path, "second")

    assert path.read_text() == "first"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_new_file_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written to the end is taken away again."""

    def full(path: Path, mode: str) -> object:
        open(path, mode).close()
        return open("/dev/full", "wb")

    monkeypatch.setattr(output_files, "open", full, raising=False)

    with pytest.raises(OSError, match="No space left"):
        write_new(tmp_path / "file", "text")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["write_text", "write_bytes"])
def test_no_command_writes_in_place(name: str) -> None:
    """In what ships, files are written by `output_files` alone."""
    import sdtps_ref

    root = Path(sdtps_ref.__file__).parent
    shipped = [
        path
        for room in ("properties", "golden", "benchmarks")
        for path in (root / room).resolve().rglob("*.py")
        if not {"tests", "maintenance"} & set(path.parts)
    ]

    writing = {path.name for path in shipped if f".{name}(" in path.read_text(encoding="utf-8")}

    # A trial of a folder, which holds nothing yet.
    assert writing - {"example_database.py"} == set()
