"""What a measuring process is told, and what it brings back."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdtps_ref.benchmarks.gate.measuring.revisions import Operand
from sdtps_ref.benchmarks.timing.process import ProcessFailed
from sdtps_ref.benchmarks.workloads.cells import Cell

BASE, AGAIN, SLOW = "base", "again", "slow"  # again: the A/A copy of base; slow: another, with a filler
TOLERANCE = 0.025  # slower by less is not called slower
DOSE = 0.05  # of the slowed control
BLOCKS = 8  # a process; everything is built anew for each
SECONDS = 2.5  # a cell and process


@dataclass(frozen=True)
class Plan:
    """One process's work. seconds: of measuring, a cell; dose: the slowed copy's.

    head_doses: a HEAD for each, slowed by as much: one that is as it is, or several to calibrate.
    """

    base: Operand
    head: Operand
    cells: tuple[Cell, ...]
    seconds: float = SECONDS
    blocks: int = BLOCKS
    threads: int = 1
    seed: int = 0
    dose: float = DOSE
    head_doses: tuple[float, ...] = (0.0,)

    @property
    def doses(self) -> dict[str, float]:
        """Every subject with its dose, BASE first."""
        heads = {head_name(dose): dose for dose in self.head_doses}
        return {BASE: 0.0, AGAIN: 0.0, SLOW: self.dose, **heads}

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Plan":
        """What `to_json` made."""
        cells = tuple(map(Cell.from_json, content["cells"]))
        sides = {name: Operand(**content[name] | {"own": tuple(content[name]["own"])}) for name in ("base", "head")}
        return cls(**content | sides | {"cells": cells, "head_doses": tuple(content["head_doses"])})


def head_name(dose: float = 0.0) -> str:
    """The subject that is HEAD slowed by that much."""
    return f"head {dose:g}"


@dataclass(frozen=True)
class Measured:
    """One cell in one process.

    times: seconds a sample, blocks by rounds by subjects. calls: of the workload in a sample. subjects: each with its
    dose as it was seen: the filler's time over that of the calls before it.
    """

    cell: Cell
    times: NDArray[np.float64]
    calls: int
    subjects: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain data, without the cell."""
        return {"times": self.times.tolist(), "calls": self.calls, "subjects": self.subjects}

    @classmethod
    def from_json(cls, cell: Cell, content: Any) -> "Measured":
        """What `to_json` made. Raises ProcessFailed for anything else: unknown code ran where it comes from."""
        try:
            times, calls = np.array(content["times"], dtype=np.float64), int(content["calls"])
            subjects = {str(name): float(dose) for name, dose in content["subjects"].items()}
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise ProcessFailed(f"{cell}: a measuring process gave no times ({error})") from None
        if times.ndim != 3 or times.shape[2] != len(subjects) or not (times > 0).all() or calls < 1:
            raise ProcessFailed(f"{cell}: a measuring process gave times of shape {times.shape}, or not above 0")
        return cls(cell, times, calls, subjects)

    def logs(self, subject: str) -> NDArray[np.float64]:
        """Paired log ratios of a subject's time to BASE's: blocks by rounds."""
        logs = np.log(self.times)
        return logs[..., list(self.subjects).index(subject)] - logs[..., 0]
