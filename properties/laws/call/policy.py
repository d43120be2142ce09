"""A hard choice among the tokens of an attention, in the user's own call: it is the keys that it masks."""

from __future__ import annotations

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.maps import (
    MaskedRows,
    contraction_of,
    is_of_the_scored,
    masked_rows,
    reads_the_hidden,
)
from sdtps_ref.properties.watching.reading import Reading

SHAPES = (*SAME_NUMBERS, "__getitem__")
ALL = 1 - 1e-9
MOST = 0.5  # of the hidden tokens: where fewer are read, they are masked elsewhere; with other choices about, all


@law(needs="call", domain=CALL)
def policy_masks_the_keys(probe: Probe) -> None:
    """A decision that masks an attention map masks its keys: what is dropped is read by no token that is kept.

    Why: along the queries a mask silences what dropped tokens read. Kept tokens go on reading all of them, so that
    nothing is missing in training of what is gone when the model is used; a softmax does not even see it.
    Breaks when: D (B N) meets weights (B H N N) as `D[:, None, :, None]` in place of `D[:, None, None, :]`.
    Remedy: `visible = D.reshape(B, 1, 1, N)`, along the axis that is summed over with the values.
    """
    reading = passes_of(probe).reading()
    seen = False
    for site in reading.sites:
        for masked in masked_rows(reading, site) if site.kind != "given" else ():
            seen = True
            met = contraction_of(reading, masked.call)
            if met is None or not is_of_the_scored(reading, site, met, masked.mask.shape[1]):
                continue
            share = reads_the_hidden(met, masked.mask)
            if share is not None and share > (MOST if len(reading.sites) == 1 else ALL):
                hidden = int((~masked.mask[0]).sum())
                raise Violation(
                    f"D masks the queries of an attention and not its keys: {hidden} dropped tokens of the first "
                    "sample are read by the kept ones as before",
                    where=_where(reading, masked),
                    effect="kept tokens learn to read what is gone when the model is used: nothing is selected",
                    fix="D.reshape(B, 1, 1, N) for weights B H N N: along the axis that is summed over with the values",
                )
    if not seen:
        raise Unsupported("no choice masks the rows of an attention map")


def _where(reading: Reading, masked: MaskedRows) -> SourceLine | None:
    """The line that lays the mask along the queries, in a function that has the map or one that calls it."""
    tokens = masked.mask.shape[1]
    made = reading.watched.watch.number_of(masked.given)
    while made is not None:
        call = reading.watched.calls[made]
        shape = call.tensors[0].shape if call.tensors else ()
        along = len(shape) > 2 and shape[-1] == 1 and shape[-2] == tokens
        if along and call.name in SHAPES and call.place is not None:
            return call.place
        made = next((n for n in call.inputs if _is_of_rows(reading, n, tokens)), None)
    return masked.call.place


def _is_of_rows(reading: Reading, number: int, tokens: int) -> bool:
    return any(
        len(t.shape) > 2 and t.shape[-1] == 1 and t.shape[-2] == tokens for t in reading.watched.calls[number].tensors
    )
