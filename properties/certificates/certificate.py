"""The certificate: one record that text, JSON and every later report are made from."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from sdtps_ref.properties.certificates.cause import Cause
from sdtps_ref.properties.certificates.expected import ExpectedFailure
from sdtps_ref.properties.certificates.level import AT_WORK, CORE_LAWS, NOT_RUN, OUT_OF_TIME, level_of, measured
from sdtps_ref.properties.kit.case import CLASSES, Case
from sdtps_ref.properties.kit.source_line import SourceLine

SCHEMA_VERSION = "1"  # of the record, reports/certificate.schema.json
Status = Literal["passed", "failed", "xfailed", "xpassed", "skipped", "blocked", "error"]
Verdict = Literal["certified", "refused", "error"]


@dataclass(frozen=True)
class Failure:
    """Why a law failed or raised: the message, the smallest case, and a program that shows it.

    reproduced: whether that program was run and showed it; None where it was not run. raised: the class
    of what the implementation raised, empty where it broke a law instead. judges: whether the program
    can tell by itself that what it shows is wrong. where: the user's line, effect: what it does to training, and
    fix: the line of code that mends it, where they are known.
    """

    message: str
    case: Case
    script: str
    reproduced: bool | None = None
    raised: str = ""
    judges: bool = True
    traceback: str = ""
    where: SourceLine | None = None
    effect: str = ""
    fix: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        where = None if self.where is None else self.where.to_json()
        return asdict(self) | {"case": self.case.to_json(), "at": str(self.case), "where": where}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Failure":
        """The failure that `to_json` wrote."""
        where = data["where"] and SourceLine.from_json(data["where"])
        return cls(**_fields(cls, data) | {"case": Case.from_json(data["case"]), "where": where})


@dataclass(frozen=True)
class LawResult:
    """What became of one law.

    status: xfailed and xpassed are what was expected to fail, and did or did not. reason: why it was skipped,
    blocked, or gave no verdict; what an expectation has to say of it. classes: what its examples hit. findings: what
    is told of them; evidence: what reports draw of them, see `evidence`. notes: what the implementation did besides,
    such as printing or changing torch's settings. expected: what was expected of it, where it was judged.
    """

    id: str
    level: str
    status: Status
    reason: str = ""
    examples: int = 0
    discarded: int = 0
    seconds: float = 0.0
    seconds_inside: float = 0.0
    classes: tuple[str, ...] = ()
    findings: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    failure: Failure | None = None
    expected: ExpectedFailure | None = None

    @property
    def warns(self) -> bool:
        """A SHOULD that was not met: advice, not a refusal."""
        return self.level == "SHOULD" and self.status in ("failed", "error")

    @property
    def refuses(self) -> bool:
        """A MUST that was not met; or, of whatever level, a law that was expected to fail and passed."""
        bad = self.status in ("failed", "error") and not self.out_of_time
        return self.status == "xpassed" or (self.level == "MUST" and bad)

    @property
    def out_of_time(self) -> bool:
        """It did not come to an end: that may be the machine's doing, and is no finding."""
        said = self.failure.message if self.failure else self.reason
        return self.status == "error" and OUT_OF_TIME in said

    @property
    def raised_after_answers(self) -> bool:
        """The code raised on one case, and had answered others of the same law: it runs, and is wrong."""
        raised = self.failure is not None and bool(self.failure.raised)
        return self.status == "error" and raised and bool(self.classes) and not self.out_of_time

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {
            "classes": list(self.classes),
            "notes": list(self.notes),
            "failure": None if self.failure is None else self.failure.to_json(),
            "expected": None if self.expected is None else self.expected.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "LawResult":
        """The result that `to_json` wrote."""
        failure = data["failure"] and Failure.from_json(data["failure"])
        read = {"classes": tuple(data["classes"]), "notes": tuple(data["notes"]), "failure": failure}
        expected = data["expected"] and ExpectedFailure.from_json(data["expected"])
        return cls(**_fields(cls, data) | read | {"expected": expected})


@dataclass(frozen=True)
class Certificate:
    """What was held to the laws, where, and what became of each law."""

    implementation: dict[str, Any]  # name, target, digest of its file, methods
    environment: dict[str, Any]
    laws: tuple[LawResult, ...]
    seconds: float = 0.0
    causes: tuple[Cause, ...] = ()  # the one that matters most first

    @property
    def training(self) -> str:
        """Why it will not train well, in a few words; empty where nothing speaks against it."""
        return next((cause.training for cause in self.causes if cause.training), "")

    @property
    def verdict(self) -> Verdict:
        """certified: every MUST that applies passed, or failed as expected. refused: one did not, or the code raised
        where it had answered before. error: none passed, or a MUST was not run for want of time, or, of a run on all
        laws, no method's core was judged (see `level`): nothing that anybody could rely on.

        A law that was expected to fail and passed refuses as well, and so does code that meddled with the judge.
        """
        if self.implementation.get("meddling"):
            return "refused"
        if any(result.refuses and result.status in ("failed", "xpassed") for result in self.laws):
            return "refused"
        if any(result.refuses and result.raised_after_answers for result in self.laws):
            return "refused"
        said = CORE_LAWS | AT_WORK if self.is_whole else {result.id for result in self.laws}
        if not any(result.status == "passed" and result.id in said for result in self.laws):
            return "error"
        if any(result.refuses for result in self.laws):
            return "refused"
        if any(r.level == "MUST" and (r.reason.startswith(NOT_RUN) or r.out_of_time) for r in self.laws):
            return "error"
        return "error" if self.is_whole and not self.measured else "certified"

    @property
    def is_whole(self) -> bool:
        """Held to all laws, and no shard of a run."""
        return self.environment["laws"] == "all" and not self.environment["shard"]

    @property
    def measured(self) -> tuple[str, ...]:
        """The contract's methods whose core of laws was judged."""
        return measured(self.implementation["methods"], self.laws)

    @property
    def level(self) -> str | None:
        """selection, pipeline or full, by the methods that were measured; None if refused, or held to some laws.

        Where a MUST failed as expected the level says so, "pipeline, with 1 expected failure", so that nobody
        who reads or compares it takes it for the level of one without.
        """
        if self.verdict != "certified" or not self.is_whole:
            return None
        level = level_of(self.measured)
        if level is None:
            return None
        count = len(self.expected_failures)
        return f"{level}, with {count} expected failure{'s' * (count > 1)}" if count else level

    @property
    def expected_failures(self) -> tuple[str, ...]:
        """Ids of the MUSTs that failed as expected; what rests on them is blocked."""
        return tuple(result.id for result in self.laws if result.level == "MUST" and result.status == "xfailed")

    @property
    def diagnosis(self) -> dict[str, Any]:
        """What the Jacobians tell: the gain, and whatever else laws found."""
        return {name: value for result in self.laws for name, value in result.findings.items()}

    @property
    def tried(self) -> frozenset[str]:
        """The classes of input that some law was judged on."""
        return frozenset(hit for result in self.laws for hit in result.classes)

    @property
    def exit_status(self) -> int:
        """0 certified, 1 refused, 2 could not run."""
        return {"certified": 0, "refused": 1, "error": 2}[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """Plain data, with a sha256 over all of it."""
        record = {
            "schema": SCHEMA_VERSION,
            "verdict": self.verdict,
            "level": self.level,
            "expected_failures": list(self.expected_failures),
            "implementation": self.implementation,
            "environment": self.environment,
            "diagnosis": self.diagnosis,
            "training": self.training,
            "causes": [cause.to_json() for cause in self.causes],
            "laws": [result.to_json() for result in self.laws],
            "tried": sorted(self.tried),
            "not_tried": sorted(CLASSES - self.tried),
            "seconds": self.seconds,
        }
        return record | {"sha256": digest(record)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Certificate":
        """The certificate that `to_json` wrote."""
        laws, causes = map(LawResult.from_json, data["laws"]), map(Cause.from_json, data["causes"])
        return cls(**_fields(cls, data) | {"laws": tuple(laws), "causes": tuple(causes)})


def _fields(cls: type, data: dict[str, Any]) -> dict[str, Any]:
    return {known.name: data[known.name] for known in fields(cls)}


def digest(record: dict[str, Any]) -> str:
    """sha256 of the record's canonical JSON, its own digest left out."""
    content = {name: value for name, value in record.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
