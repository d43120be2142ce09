"""What the slowed copy does besides: work of the stages' own kind, in a dose that is measured where it is done.

Busy work by the clock would not do: when a neighbour slows the machine down, a pause of 50 microseconds stays one
of 50 while everything else takes twice as long, and the dose is halved just when the control matters. So the filler
is a fixed amount of work: rows of tokens through the first layers of an aggregation. Every sample of the slowed copy
has a mark where the filler begins, so that its dose is known, and it is set right between blocks. It is set where it
works, behind the calls that it is to slow: alone, with its data at hand, it would take a third of the time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sdtps_ref.benchmarks.workloads.cells import Cell

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

    def correct(self, seen: float) -> None:
        """More rows or fewer, after a block in which the share was `seen`. By half: a block is a small sample."""
        self.set_rows(self.rows + (self.owed - seen) / self.slope / 2)

    def _normal(self, *shape: int) -> Tensor:
        dtype = getattr(torch, self.cell.dtype)
        return torch.randn(shape, generator=self.generator, dtype=dtype, device=self.cell.device)


def fit(fillers: Sequence[Filler], share: Callable[[Filler], float]) -> bool:
    """Choose the rows whose share of a sample is what each filler owes; false where one row is too much for one.

    share: the filler's time over that of the calls before it, measured now. One is measured for all: what rows cost
    is the same for each, so that five doses take no longer to find than one.
    """
    if not fillers:
        return True
    ruler = max(fillers, key=lambda filler: filler.owed)
    ruler.set_rows(1)
    least = share(ruler)
    if least > ROOM * min(filler.owed for filler in fillers):
        return False
    rows, found = 1.0, least
    while found < ruler.owed and rows < MOST_ROWS:
        rows *= 2
        ruler.set_rows(rows)
        found = share(ruler)
    for filler in fillers:
        filler.slope = (found - least) / (rows - 1)
        filler.set_rows(1 + (filler.owed - least) / filler.slope)
    return True
