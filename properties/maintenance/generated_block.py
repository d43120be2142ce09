"""Generated sections of a text: what stands between two marker lines is written by a command, never by hand."""

from pathlib import Path

from sdtps_ref.errors import InvalidInput


def inserted(text: str, begin: str, end: str, body: str) -> str:
    """`text` with `body` between the lines `begin` and `end`. Raises InvalidInput where they are missing."""
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise InvalidInput.given("a text without the markers", f"one with the lines {begin!r} and {end!r}")
    return f"{before}{begin}\n{body}\n{end}{after}"


def write_into(path: Path, begin: str, end: str, body: str) -> None:
    """Renew the section in the file at `path`."""
    path.write_text(inserted(path.read_text(encoding="utf-8"), begin, end, body), encoding="utf-8")
