"""Shapes in the user's own call that fit by accident."""

from __future__ import annotations

from torch import Tensor
from torch.utils._pytree import tree_leaves

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.forms import PRODUCTS, SUMS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.terms_of_loss import QUOTIENTS

LOSSES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
CASTS = ("to", "float", "double", "half", "type", "type_as", "detach", "clone", "contiguous", "clamp", "clamp_min")
KEEPS_THE_AXIS = ("sum", "mean", "amax", "amin", "norm", "linear", "matmul", "__matmul__", "bmm")


@law(needs="call", domain=CALL)
def samples_are_not_paired(probe: Probe) -> None:
    """One number for each sample, B 1, does not meet one for each sample, B, in a table of all pairs.

    Why: B 1 and B broadcast to B B: each sample's number is divided by, or compared with, every other one's. The mean
    of the table is a finite number, and is right for a batch of one.
    Breaks when: a sum keeps its axis, or D is B N 1, and the lengths or targets are B.
    Remedy: `mask.sum(dim=1).squeeze(-1) / lengths`. Where pairs are meant, `a[:, None] - b[None, :]` says so.
    """
    passes = passes_of(probe)
    args, kwargs = passes.subject.make(0)
    batches = {t.shape[0] for t in tree_leaves((list(args), dict(kwargs))) if isinstance(t, Tensor) and t.dim() > 0}
    reading = passes.reading()
    for call in reading.watched.calls:
        if call.name not in (*SUMS, *PRODUCTS, *QUOTIENTS, *LOSSES):
            continue
        shapes = {tuple(t.shape): t for t in call.read}
        for batch in batches - {1}:
            column = shapes.get((batch, 1))
            if column is None or (batch,) not in shapes or not _keeps_its_axis(reading, column):
                continue
            raise Violation(
                f"{batch} x 1 meets {batch} and becomes {batch} x {batch}: each sample's number with every other's",
                where=call.place,
                effect="samples mix, and only a batch of one gives the right number",
                fix="squeeze(-1) the one, so that both hold one number for each sample",
            )


def _keeps_its_axis(reading: Reading, tensor: Tensor) -> bool:
    """Whether the axis of one is what a sum or a layer left, and not one that was put there for the pairs."""
    number = reading.watched.watch.number_of(tensor)
    call: Call | None = None if number is None else reading.watched.calls[number]
    while call is not None and call.name in (*CASTS, *SUMS, *PRODUCTS, *QUOTIENTS):
        behind = [reading.watched.watch.number_of(t) for t in call.read if t.shape == tensor.shape]
        made = [n for n in behind if n is not None and n < call.number]
        call = reading.watched.calls[made[0]] if made else None
    return call is not None and call.name in KEEPS_THE_AXIS
