"""What became of each law, on disk as it comes: a certifier that is killed loses nothing."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdtps_ref.errors import SDTPSError
from sdtps_ref.output_files import replace_text
from sdtps_ref.properties.certificates.certificate import LawResult
from sdtps_ref.properties.certificates.level import NOT_RUN
from sdtps_ref.properties.engine.loaded_files import changed_since
from sdtps_ref.properties.engine.settings import RunSettings

FOLDER = Path(".sdtps")


class JournalError(SDTPSError):
    """The journal cannot be written, or is not of this run; the message is one line."""


def usual_path(settings: RunSettings) -> Path:
    """Where the journal of such a run lies, below the folder that the certifier was called from."""
    told = (settings.target or "object", settings.profile.name, *map(str, settings.shard or ()))
    return FOLDER / f"{'-'.join(re.sub(r'[^A-Za-z0-9]+', '-', part).strip('-') for part in told)}.jsonl"


class Journal:
    """A file of JSON lines: first what is judged and with what settings, then a result a law.

    Between them, files that were loaded since, where there are any. base: the folder from which files are named.
    """

    def __init__(self, path: Path, header: dict[str, Any], base: Path | None = None):
        self.path, self.header, self.base = path, header, base or Path()
        self.files: dict[str, str] = dict(header.get("implementation", {}).get("files", {}))

    def begin(self) -> None:
        """Start it anew. Raises JournalError where the file cannot be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.parent == FOLDER:
                replace_text(FOLDER / ".gitignore", "*\n")
            replace_text(self.path, json.dumps(self.header) + "\n")
        except OSError as error:
            raise JournalError(f"the journal {self.path} cannot be written: {error.strerror}") from error

    def add(self, result: LawResult, files: Mapping[str, str] | None = None) -> None:
        """Write one result; it is in the file when this returns. Raises JournalError where it cannot be written.

        files: of the implementation, so far.
        """
        lines = [json.dumps(result.to_json())]
        if more := {name: known for name, known in (files or {}).items() if name not in self.files}:
            self.files |= more
            lines.insert(0, json.dumps({"files": more}))
        if result.reason.startswith(NOT_RUN):  # to be run when it is resumed
            return
        try:
            with self.path.open("a") as file:
                file.writelines(f"{line}\n" for line in lines)
        except OSError as error:
            raise JournalError(f"the journal {self.path} cannot be written: {error.strerror}") from error

    def results(self) -> dict[str, LawResult]:
        """What an earlier run of the same kind wrote. Raises JournalError where there is none, or of another kind."""
        try:
            first, *lines = self.path.read_text().splitlines() or [""]
        except OSError as error:
            raise JournalError(f"there is nothing to resume: {self.path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise JournalError(f"{self.path} is not a journal of `sdtps certify`") from error
        header = _read(first)
        if header is None or header.keys() != self.header.keys():
            raise JournalError(f"{self.path} is not a journal of `sdtps certify`")
        for part, now in self.header.items():
            if not isinstance(header[part], dict):
                raise JournalError(f"{self.path} is not a journal of `sdtps certify`")
            differing = [name for name in now if header[part].get(name) != now[name]]
            if "files" in differing:
                was = header[part].get("files") or {}
                if not isinstance(was, dict):
                    raise JournalError(f"{self.path} is not a journal of `sdtps certify`")
                changed = [each for each in {**was, **now["files"]} if was.get(each) != now["files"].get(each)]
                raise self._of_another_run(f"{', '.join(changed[:3])} changed")
            if differing:
                name = differing[0]
                raise self._of_another_run(f"its {name} is {header[part].get(name)!r}, now it is {now[name]!r}")
        results: dict[str, LawResult] = {}
        for record in filter(None, map(_read, lines)):  # the last line may be torn
            try:
                if "files" in record:
                    self._expect_unchanged(dict(record["files"]))
                else:
                    results[record["id"]] = LawResult.from_json(record)
            except (TypeError, KeyError, ValueError, AttributeError) as error:
                raise JournalError(f"{self.path} is not a journal of `sdtps certify`") from error
        return results

    def _expect_unchanged(self, files: dict[str, str]) -> None:
        self.files |= files
        if changed := changed_since(files, self.base):
            raise self._of_another_run(f"{', '.join(changed[:3])} changed")

    def _of_another_run(self, how: str) -> JournalError:
        return JournalError(f"{self.path} is of another run: {how}; start without --resume")


def seed_of(path: Path) -> int | None:
    """The seed of the run that wrote the journal; None where there is no such journal."""
    try:
        header = _read(path.read_text().partition("\n")[0])
        return None if header is None else int(header["environment"]["seed"])
    except (OSError, KeyError, TypeError, ValueError, OverflowError):
        return None


def _read(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
