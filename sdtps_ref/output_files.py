"""Write files so that what was there is not lost: the new text takes the old one's place when it is whole."""

import contextlib
import os
import tempfile
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write the text to `path`; whoever reads meanwhile, or after a failure, finds the old file whole.

    Line ends are as in the text; what UTF-8 cannot hold is written as its escape. Links are followed, a file keeps its
    mode, and what is no ordinary file (`/dev/stdout`, a pipe) is written to directly. Raises OSError, of `path`.
    """
    content = text.encode("utf-8", errors="backslashreplace")
    try:
        if path.parts[:2] == ("/", "dev") or (path.exists() and not path.is_file()):
            with open(path, "ab") as stream:  # to append, for /dev/stdout may lead to a file
                stream.write(content)
            return
        target = Path(os.path.realpath(path))
        mode = target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask()
        handle, temporary = tempfile.mkstemp(prefix=".sdtps-", dir=target.parent)
        try:
            with open(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(handle)
            os.chmod(temporary, mode)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_new(path: Path, text: str) -> None:
    """Write a file that must not be there yet, whole or not at all. Raises OSError, FileExistsError among them."""
    with open(path, "xb") as stream:
        try:
            stream.write(text.encode("utf-8", errors="backslashreplace"))
            stream.flush()
        except BaseException:
            os.unlink(path)
            raise


def _umask() -> int:
    """The process's mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
