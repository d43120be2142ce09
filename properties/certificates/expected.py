"""Expected failures: laws that an implementation is known to break, why that is accepted, and how it fails.

Strict in both directions: what was expected to fail and passes is refused, and so is what fails otherwise.
"""

import dataclasses
import difflib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.case_json import stored_case
from sdtps_ref.properties.kit.law import all_laws

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLE = "expected"
KEYS = ("law", "reason", "link", "match", "case")


@dataclass(frozen=True)
class ExpectedFailure:
    """Why one law may fail, and how.

    reason: why it fails and why that is accepted; not empty. match: a regular expression that is found in the
    failure's message; empty matches every one. link: where more is to be read. case: on which it fails, tried
    before all others and not made smaller, so that the failure is the same in every run.
    Raises InvalidInput for an empty reason or a match that is no regular expression.
    """

    reason: str
    match: str = ""
    link: str = ""
    case: Case | None = None

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise InvalidInput.given(f"reason {self.reason!r}", "why it fails, and why that is accepted for now")
        try:
            re.compile(self.match)
        except re.error as error:
            raise InvalidInput.given(f"match {self.match!r} ({error})", "a regular expression") from error

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return dataclasses.asdict(self) | {"case": self.case and self.case.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ExpectedFailure":
        """What `to_json` wrote."""
        return cls(data["reason"], data["match"], data["link"], data["case"] and Case.from_json(data["case"]))


Expected = Mapping[str, ExpectedFailure]
GivenExpected = str | Path | Mapping[str, str | ExpectedFailure]


def read_expected(given: GivenExpected | None) -> Expected:
    """By law id: what the file at that path says, or a mapping in which a reason alone stands for any failure.

    Raises InvalidInput, in one line that names file and entry.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        return _read(Path(given))
    for law_id in given:
        _check_law(law_id, "expected_failures")
    return {law: ExpectedFailure(entry) if isinstance(entry, str) else entry for law, entry in given.items()}


def _read(path: Path) -> Expected:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput.given(f"{path} ({error.strerror})", "a TOML file of expected failures") from error
    except (ValueError, RecursionError) as error:  # not TOML, or not even text
        raise InvalidInput.given(f"{path}, which is not TOML: {error}", "a TOML file of expected failures") from error
    entries = content.get(TABLE, [])
    unknown = sorted(set(content) - {TABLE})
    if unknown or not isinstance(entries, list):
        raise InvalidInput.given(f"{unknown[0] if unknown else TABLE!r} in {path}", f"tables [[{TABLE}]] alone")
    found: dict[str, ExpectedFailure] = {}
    for number, entry in enumerate(entries, 1):
        law_id = entry.get("law") if isinstance(entry, dict) else None
        place = f"{path}, entry {number}" + (f" ({law_id})" if isinstance(law_id, str) else "")
        expected = _entry(entry, place)
        if law_id in found:
            raise InvalidInput.given(f"{law_id} twice in {path}", "one entry a law")
        found[str(law_id)] = expected
    return found


def _entry(entry: Any, place: str) -> ExpectedFailure:
    if not isinstance(entry, dict):
        raise InvalidInput.given(f"{entry!r} in {place}", f"a table of {', '.join(KEYS)}")
    unknown = [key for key in entry if key not in KEYS]
    if unknown:
        raise InvalidInput.given(f"key {unknown[0]!r} in {place}", ", ".join(KEYS))
    for key in ("law", "reason", "match", "link"):
        if key not in entry and key != "link":
            raise InvalidInput.given(f"no {key} in {place}", "an entry that has law, reason and match")
        if not isinstance(entry.get(key, ""), str):
            raise InvalidInput.given(f"{key} = {entry[key]!r} in {place}", "text")
    _check_law(entry["law"], place)
    try:
        case = stored_case(entry["case"]) if "case" in entry else None
        return ExpectedFailure(entry["reason"], entry["match"], entry.get("link", ""), case)
    except InvalidInput as error:
        raise InvalidInput(f"{place}: {error}") from error


def _check_law(law_id: str, place: str) -> None:
    if law_id not in all_laws():
        near = difflib.get_close_matches(str(law_id), all_laws(), n=1)
        hint = f" (perhaps {near[0]})" if near else ""
        raise InvalidInput.given(f"law {law_id!r} in {place}", f"an id that `sdtps laws` lists{hint}")
