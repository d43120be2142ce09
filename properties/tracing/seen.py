"""What a trace has seen: plain data, filled in as the step goes on."""

from __future__ import annotations

from dataclasses import dataclass, field

from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.tracing.cause import Cause
from sdtps_ref.properties.tracing.ladder import Rung
from sdtps_ref.properties.tracing.soft_mask_summary import SoftSummary


@dataclass(frozen=True)
class SiteSeen:
    """One place where tokens are chosen. times: how often in the step. pictures: p and kept of the first samples."""

    lines: dict[str, SourceLine | None]
    kept: int | None
    total: int
    batch: int
    dtype: str
    device: str
    form: str
    soft: SoftSummary
    upstream: list[str]
    rungs: list[Rung]
    gain: float | None
    pictures: list[tuple[list[float], list[int]]] = field(default_factory=list)
    times: int = 1

    def rung(self, name: str) -> Rung | None:
        """The rung of that name."""
        return next((rung for rung in self.rungs if rung.name == name), None)


@dataclass
class StepSeen:
    """Of one traced step. causes: with what accuses first. notes: what was watched, and what was not."""

    model: str
    sites: list[SiteSeen] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    scale: float = 1.0
    backwards: int = 0
    forwards: int = 0
    finished: bool = False
    before_clipping: float | None = None
    after_clipping: float | None = None
    nothing: list[str] = field(default_factory=list)
    error: str | None = None

    @property
    def cause(self) -> Cause | None:
        """What accounts for most; None where nothing is wrong."""
        return next((cause for cause in self.causes if cause.accuses), None)

    @property
    def remarks(self) -> list[Cause]:
        """What merely differs."""
        return [cause for cause in self.causes if not cause.accuses]
