"""Which part of which method each kind of cause is about, and so its line. A kind that is not here has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from sdtps_ref.properties.kit.source_line import SourceLine

SELECTS = ("selector", "pipeline", "branches", "multimodal", "model")
POOLS = ("aggregator", "pipeline", "branches", "multimodal", "model")
WIRES = ("pipeline", "branches", "multimodal", "model")
ALL = ("selector", *POOLS)

# The first pattern that a kind is like decides; of its parts the first that was found, in the first of the methods
# that has one. Where the fault may as well lie before the part, as a temperature's may that was clamped when the
# module was built, no line is told: a wrong one is worse than none.
PARTS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("soft_mask.missing", SELECTS, ("decision",)),
    ("soft_mask.sign", SELECTS, ("decision",)),
    ("soft_mask.scaled", SELECTS, ("backward",)),
    ("soft_mask.*", SELECTS, ("soft",)),
    ("gradient.without_temperature", SELECTS, ("backward", "soft")),
    ("gradient.clipped", SELECTS, ("backward",)),
    ("temperature.multiplied", SELECTS, ("soft",)),
    ("softmax.overflow", SELECTS, ("exp",)),
    ("score.logarithm", SELECTS, ("log",)),
    ("score.over_batch", SELECTS, ("over batch",)),
    ("score.statistics_over_batch", ("multimodal", "model"), ("over batch",)),
    ("models.samples_do_not_meet", ("model",), ("over batch", "mean over batch")),
    ("ranking.*", SELECTS, ("choice",)),
    ("ties.threshold", SELECTS, ("threshold",)),
    ("positions.in_half", SELECTS, ("positions",)),
    ("decision.soft_forward", SELECTS, ("decision",)),
    ("decision.rounding", SELECTS, ("decision",)),
    ("decision.order", SELECTS, ("gather of D",)),
    ("decision.wired_by_place", WIRES, ("out of order",)),
    ("decision.detached", WIRES, ("detached",)),
    ("modalities.crossed_decision", ("multimodal",), ("crossed",)),
    ("branches.crossed_decision", ("branches",), ("crossed",)),
    ("gather.*", SELECTS, ("gather",)),
    ("tokens.*", SELECTS, ("gather",)),
    ("extra_token.other_mean", SELECTS, ("extra mask",)),
    ("extra_token.not_renormalised", SELECTS, ("extra softmax",)),
    ("selection.extra_token_pools_dropped", SELECTS, ("extra mask",)),
    ("noise.in_eval", SELECTS, ("draw",)),
    ("noise.shared*", SELECTS, ("draw",)),
    ("noise.frozen", SELECTS, ("kept",)),
    ("mask.gain", POOLS, ("steep",)),
    ("mask.overflow", POOLS, ("steep", "mask")),
    ("mask.boolean", POOLS, ("compared",)),
    ("mask.of_other_samples", POOLS, ("spread",)),
    ("mask.after_softmax", POOLS, ("mask",)),
    ("mask.squeezed", POOLS, ("squeeze",)),
    ("mask.twice", (), ()),
    ("mask.filled_row", (), ()),
    ("mask.*", POOLS, ("mask",)),
    ("weights.divided", POOLS, ("pooled",)),
    ("weights.dropout", POOLS, ("dropout",)),
    ("weights.over_slots", POOLS, ("weights",)),
    ("weights.sigmoid", POOLS, ("weights",)),
    ("logits.of_other_tokens", POOLS, ("reshape",)),
    ("dtype.narrowed", ALL, ("narrowed",)),
    ("state.*", ALL, ("written", "kept")),
    ("later_calls.weights_may_change", ALL, ("kept",)),
    ("later_calls.memory_may_be_used_again", ALL, ("kept",)),
)
# What a call leaves changed, by kind; where it was seen is told by the reading itself.
LEFT = {
    "inputs.written": "inputs",
    "generator.reseeded": "seed",
    "process.gradients": "gradients",
    "runtime.leaves_torch_alone": "default dtype",
}
# Kinds whose line is a reading of its own.
READ = {
    "decision.constant_where_all_are_kept": "all_kept.place",
    "keep.rounded_ratio": "keep.place",
    "keep.off_by_one": "keep.place",
}


def line_of(kind: str, readings: Mapping[str, Any]) -> SourceLine | None:
    """The user's line that a cause of this kind is on; None where none was found for sure."""
    if kind in LEFT:
        return _line((readings.get(f"left.{LEFT[kind]}") or {}).get("place"))
    if kind in READ:
        return _line(readings.get(READ[kind]))
    return next((line for place in _candidates(kind, readings) if (line := _line(place))), None)


def _candidates(kind: str, readings: Mapping[str, Any]) -> Iterator[Any]:
    for pattern, methods, parts in PARTS:
        if fnmatchcase(kind, pattern):
            for method in methods:
                found = readings.get(f"lines.{method}") or {}
                yield from (found[part] for part in parts if part in found)
            return


def _line(place: Any) -> SourceLine | None:
    return SourceLine(*place) if place else None
