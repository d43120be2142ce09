"""What the slowed copy does besides: work of the stages' own kind, in a dose that is measured where it is done.

Busy work by the clock would not do: when a neighbour slows the machine down, a pause of 50 microseconds stays one
of 50 while everything else takes twice as long, and the dose is halved just when the control matters. So the filler
is a fixed amount of work: rows of tokens through the first layers of an aggregation. Every sample of the slowed copy
has a mark where the filler begins, so that its dose is known, and it is set right between blocks. It is set where it
works, behind the calls that it is to slow: alone, with its data at hand, it would take a third of the time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sdtps_ref.benchmarks.gate.cells import Cell

HIDDEN = 0.2  # of the channels, as in the papers
MOST_ROWS = 2**20
ROOM = 0.7  # of the dose, that one row may have: the rest is there to be set right


@dataclass
class Filler:
    """`rows` tokens normalised, multiplied and activated. owed: its time over that of the calls in the same sample."""

    cell: Cell
    owed: float
    rows: float = 1.0
    slope: float = 0.0  # what one row more adds to the share

    def __post_init__(self) -> None:
        C = self.cell.size.C
        self.generator = torch.Generator(self.cell.device).manual_seed(0)
        self.weight = self._normal(C, max(1, int(HIDDEN * C)))
        self.set_rows(self.rows)

    @torch.no_grad()
    def work(self) -> None:
        """Once. Nothing is kept."""
        functional.gelu(functional.layer_norm(self.tokens, self.tokens.shape[-1:]) @ self.weight)

    def set_rows(self, rows: float) -> None:
        """That many tokens, one at least."""
        self.rows = min(max(1.0, rows), MOST_ROWS)
        self.tokens = self._normal(round(self.rows), self.cell.size.C)

    def fit(self, share: Callable[[], float]) -> bool:
        """Choose the rows whose share of a sample is the owed one; false where one row is too much of that.

        share: the filler's time over that of the calls before it, measured now.
        """
        self.set_rows(1)
        least = share()
        if least > ROOM * self.owed:
            return False
        rows, found = 1.0, least
        while found < self.owed and rows < MOST_ROWS:
            rows *= 2
            self.set_rows(rows)
            found = share()
        self.slope = (found - least) / (rows - 1)
        self.set_rows(1 + (self.owed - least) / self.slope)
        return True

    def correct(self, seen: float) -> None:
        """More rows or fewer, after a block in which the share was `seen`. By half: a block is a small sample."""
        self.set_rows(self.rows + (self.owed - seen) / self.slope / 2)

    def _normal(self, *shape: int) -> Tensor:
        dtype = getattr(torch, self.cell.dtype)
        return torch.randn(shape, generator=self.generator, dtype=dtype, device=self.cell.device)
