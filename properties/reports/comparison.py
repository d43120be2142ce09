"""Certificates of one implementation in several environments, law by environment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.certificates.shards import CannotJoin
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.reports.wording import why, word

ALWAYS = ("torch", "device")  # told of every column
NEVER = ("laws", "shard", "databases", "isolation", "expected")  # what was asked and how it was run, not where
VERSION = "1"  # of the table's JSON


@dataclass(frozen=True)
class Comparison:
    """Certificates side by side. columns: a name for each, of what tells them apart."""

    certificates: tuple[Certificate, ...]
    columns: tuple[str, ...]

    @property
    def laws(self) -> tuple[str, ...]:
        """The ids that any certificate holds, foundations first."""
        given = {result.id for certificate in self.certificates for result in certificate.laws}
        known = [law_id for law_id in all_laws() if law_id in given]
        return (*known, *sorted(given - set(known)))

    @property
    def exit_status(self) -> int:
        """That of the worst: 2 where nothing was measured in one, 1 where one is refused, 0 where all are certified."""
        return max(certificate.exit_status for certificate in self.certificates)

    def row(self, law_id: str) -> list[LawResult | None]:
        """What became of a law in each; None where it is not in the certificate."""
        return [next((r for r in certificate.laws if r.id == law_id), None) for certificate in self.certificates]

    def reasons(self, law_id: str) -> list[tuple[str, str]]:
        """For what is not simply passed: the reason, and the numbers of the columns that it holds in, from 1."""
        return self._where(law_id, lambda r: f"{word(r)}: {why(r)}" if r and r.status != "passed" else None)

    def outcomes(self, law_id: str) -> list[tuple[str, str]]:
        """What became of a law, in a word, and the numbers of the columns; "-" where it is not in the certificate."""
        return self._where(law_id, lambda result: word(result) if result else "-")

    def _where(self, law_id: str, told: Callable[[LawResult | None], str | None]) -> list[tuple[str, str]]:
        where: dict[str, list[int]] = {}
        for number, result in enumerate(self.row(law_id), 1):
            if (what := told(result)) is not None:
                where.setdefault(what, []).append(number)
        return [(what, _ranges(numbers)) for what, numbers in where.items()]

    def differs(self, law_id: str) -> bool:
        """The law came to something else in one environment than in another."""
        return len({result and result.status for result in self.row(law_id)}) > 1

    def to_json(self) -> dict[str, Any]:
        """Plain data: the environments, then for each law what became of it in each of them, in their order."""
        return {
            "comparison": VERSION,
            "implementation": self.certificates[0].implementation["name"],
            "environments": [
                {
                    "name": column,
                    "verdict": certificate.verdict,
                    "level": certificate.level,
                    "environment": certificate.environment,
                    "certificate": certificate.to_json()["sha256"],
                }
                for column, certificate in zip(self.columns, self.certificates, strict=True)
            ],
            "laws": [
                {
                    "id": law_id,
                    "differs": self.differs(law_id),
                    "results": [r and {"status": r.status, "reason": why(r)} for r in self.row(law_id)],
                }
                for law_id in self.laws
            ],
        }


def compare(certificates: Sequence[Certificate]) -> Comparison:
    """Put certificates of one implementation side by side.

    Raises CannotJoin where they are of different code, or one is given twice.
    """
    first = certificates[0].implementation
    for certificate in certificates[1:]:
        other = certificate.implementation
        if other["name"] != first["name"]:
            raise CannotJoin(f"given certificates of {first['name']} and of {other['name']}; accepted: those of one")
        if other["sha256"] != first["sha256"]:
            raise CannotJoin(
                f"given certificates of two versions of {first['name']}, sha256 {_short(first)} and {_short(other)}; "
                "accepted: those of one"
            )
    digests = [certificate.to_json()["sha256"] for certificate in certificates]
    if len(set(digests)) < len(digests):
        raise CannotJoin("given one certificate twice; accepted: each once")
    return Comparison(tuple(certificates), tuple(_names([c.environment for c in certificates])))


def _ranges(numbers: Sequence[int]) -> str:
    """As in "1-3, 5" for 1, 2, 3, 5: what ascends by one keeps its distance from its place."""
    runs = [[n for _, n in run] for _, run in groupby(enumerate(numbers), lambda placed: placed[1] - placed[0])]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _short(implementation: dict[str, Any]) -> str:
    return f"{implementation['sha256'][:12]}..." if implementation["sha256"] else "of no file"


def _names(environments: Sequence[dict[str, Any]]) -> list[str]:
    """What tells the environments apart, in words; counted where nothing does."""
    several = [
        key
        for key in dict.fromkeys(key for environment in environments for key in environment)
        if key not in NEVER and len({repr(environment.get(key)) for environment in environments}) > 1
    ]
    implied = {"device_name"} if "device" in several else set()
    differing = [key for key in several if key not in (*ALWAYS, *implied)]
    names = [
        ", ".join(
            [f"torch {environment['torch']}", str(environment["device"])]
            + [f"{key} {environment.get(key)}" for key in differing]
        )
        for environment in environments
    ]
    return [
        f"{name} ({names[: number + 1].count(name)})" if names.count(name) > 1 else name
        for number, name in enumerate(names)
    ]
