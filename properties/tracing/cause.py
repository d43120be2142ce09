"""What trace says of a step: one sentence with its line, what it does to training, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sdtps_ref.properties.kit.source_line import SourceLine


@dataclass(frozen=True)
class Cause:
    """kind: stable, of `causes.ORDER`. accuses: whether training is worse for it; else it is a remark."""

    kind: str
    message: str
    where: SourceLine | None
    effect: str
    fix: str
    accuses: bool = True

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        where = self.where.to_json() if self.where is not None else None
        return {"kind": self.kind, "message": self.message, "where": where, "effect": self.effect, "fix": self.fix,
                "accuses": self.accuses}  # fmt: skip
