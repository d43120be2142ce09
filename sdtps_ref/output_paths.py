"""Files that a command will write: looked at before the work whose result they are to hold."""

from pathlib import Path

from sdtps_ref.errors import InvalidInput


def check_writable(given: str, path: Path | None) -> None:
    """Raise InvalidInput where `path` lies in no folder, or is one.

    given: how it was asked for, as in "--json FILE".
    """
    if path is not None and (not path.parent.is_dir() or path.is_dir()):
        raise InvalidInput.given(given, "a file in a folder that exists")
