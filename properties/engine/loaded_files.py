"""Which files of the user's an implementation was loaded from: the verdict is about all of them."""

import functools
import hashlib
import json
import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGE = "sdtps_ref"


class LoadedFiles:
    """What was imported since this was made, without what is installed: by path from `base`, the sha256 of each."""

    def __init__(self) -> None:
        self.before = set(sys.modules)
        self.base: Path | None = None
        self.known: dict[Path, str] = {}
        self._looked_at: set[tuple[str, str]] = set()  # module and place: a law imports little that is new

    def described(self, main: Path | None) -> dict[str, Any]:
        """For the certificate: `files`, and `sha256` over all of them. main: the file that the target is in."""
        if main is not None and main.is_file():
            self.base = main.resolve().parent
            self._add(main.resolve())
        files = self.files()
        return {"files": files, "sha256": digest_of(files)}

    def files(self) -> dict[str, str]:
        """The files so far, which may be more than at first: a function can import as well."""
        for name in sys.modules.keys() - self.before:
            place = getattr(sys.modules.get(name), "__file__", None)
            if name.partition(".")[0] == PACKAGE or not isinstance(place, str) or (name, place) in self._looked_at:
                continue
            self._looked_at.add((name, place))
            if not _is_installed(path := Path(place).resolve()):
                self._add(path)
        base = self.base or Path.cwd()
        return {Path(os.path.relpath(path, base)).as_posix(): known for path, known in sorted(self.known.items())}

    def _add(self, path: Path) -> None:
        if path not in self.known and path.is_file():  # as it was when it was loaded, not as it may be by now
            self.known[path] = hashlib.sha256(path.read_bytes()).hexdigest()


def digest_of(files: Mapping[str, str]) -> str | None:
    """One sha256 over all of the files; that of the only one where there is one; None where there is none."""
    if len(files) < 2:
        return next(iter(files.values()), None)
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def changed_since(files: Mapping[str, str], base: Path) -> list[str]:
    """Those of the files that are not what they were, or are gone."""
    return [
        name
        for name, known in files.items()
        if not (path := base / name).is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != known
    ]


def _is_installed(path: Path) -> bool:
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    return any(folder in path.parents for folder in _installed_in())


@functools.cache
def _installed_in() -> set[Path]:
    paths = sysconfig.get_paths()
    return {Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
