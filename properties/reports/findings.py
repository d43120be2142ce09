"""Causes as a code review shows them: each on a line of a file, as an error or a warning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sdtps_ref.properties.certificates.cause import Cause
from sdtps_ref.properties.certificates.certificate import Certificate


@dataclass(frozen=True)
class Finding:
    """One cause. error: whether it refuses, or training suffers; else advice. file: relative to where one stands."""

    cause: Cause
    error: bool
    file: str | None = None
    line: int = 1

    @property
    def text(self) -> str:
        """What is wrong, what it does, and what mends it."""
        effect = f" {self.cause.effect[:1].upper()}{self.cause.effect[1:]}." if self.cause.effect else ""
        fix = f" Fix: {self.cause.fix}" if self.cause.fix else ""
        return f"{self.cause.sentence}.{effect}{fix}"


def findings(certificate: Certificate, root: Path | None = None) -> Iterator[Finding]:
    """The causes, the one that matters most first. root: what files are told relative to, the current folder if None.

    A cause whose line is not known stands in the file that was certified; one that has none, nowhere.
    """
    refusing = {result.id for result in certificate.laws if result.refuses}
    whole = _target_file(certificate)
    for cause in certificate.causes:
        error = bool(cause.training) or not refusing.isdisjoint(cause.explains)
        place = (cause.where.file, cause.where.line) if cause.where is not None else whole
        if place is None:
            yield Finding(cause, error)
        else:
            yield Finding(cause, error, _relative(place[0], root or Path.cwd()), place[1])


def _target_file(certificate: Certificate) -> tuple[str, int] | None:
    target = certificate.implementation["target"] or ""
    place = target.rpartition(":")[0] if not target.endswith(".py") else target
    return (place, 1) if place.endswith(".py") else None


def _relative(file: str, root: Path) -> str:
    """With slashes whatever the system, as those who read it want; absolute where it is not below `root`."""
    path = (root / file).resolve()
    return path.relative_to(root.resolve()).as_posix() if path.is_relative_to(root.resolve()) else path.as_posix()
