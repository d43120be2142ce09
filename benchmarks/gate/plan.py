"""What a measuring process is told, and what it brings back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdtps_ref.benchmarks.gate.cells import Cell
from sdtps_ref.benchmarks.gate.operands import Operand

SUBJECTS = ("base", "head", "again", "slow")  # again: the A/A copy of base; slow: another, with a filler
TOLERANCE = 0.025  # slower by less is not called slower
DOSE = 0.05  # of the slowed control
BLOCKS = 8  # a process; everything is built anew for each
SECONDS = 2.5  # a cell and process


@dataclass(frozen=True)
class Plan:
    """One process's work. seconds: of measuring, a cell; dose: the slowed copy's; head_dose: HEAD's, to calibrate."""

    base: Operand
    head: Operand
    cells: tuple[Cell, ...]
    seconds: float = SECONDS
    blocks: int = BLOCKS
    threads: int = 1
    seed: int = 0
    dose: float = DOSE
    head_dose: float = 0.0


@dataclass(frozen=True)
class Measured:
    """One cell in one process.

    times: seconds a sample, blocks by rounds by SUBJECTS. calls: of the workload in a sample. dose: the part of its
    sample that the slowed copy's filler took, over the rest; head_dose: the same of HEAD, zero where it has none.
    """

    cell: Cell
    times: NDArray[np.float64]
    calls: int
    dose: float
    head_dose: float = 0.0

    def logs(self, subject: str) -> NDArray[np.float64]:
        """Paired log ratios of a subject's time to BASE's: blocks by rounds."""
        logs = np.log(self.times)
        return logs[..., SUBJECTS.index(subject)] - logs[..., 0]
