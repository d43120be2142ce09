"""What several hypotheses ask of the readings, break alike, or mend alike."""

from __future__ import annotations

from typing import Any

from sdtps_ref.properties.engine.causes.hypothesis import Readings

HAND_ON = "aggregate(selection.selected_tokens, selection.selected_decision)"
SOFT_MASK = ("decision.backward_*", "gradient.reaches_score", "gradient.matches_closed_form", "symmetry.score_shift*")
POOLING = ("aggregation.*", "gradient.matches_closed_form", "gradient.reaches_score", "symmetry.*")
MASK = "weights = softmax(logits + log D, dim=-1), with -inf where D = 0"
WAKE_OF_POOLING = ("aggregation.*", "gradient.*", "errors.fully_masked_row", "symmetry.*", "runtime.*", "multimodal.*",
        "training.*", "branches.*")  # fmt: skip
WAKE_OF_CHOICE = ("symmetry.*", "gradient.*", "selection.*", "runtime.*", "multimodal.*", "training.*", "decision.*",
        "branches.*", "shape.*")  # fmt: skip
WAKE_OF_NOISE = (
    "noise.*",
    "draws.*",
    "runtime.*",
    "multimodal.noise_*",
    "distributed.*",
    "branches.*",
    "gradient.follows_temperature",
)


def gain_far_from_one(r: Readings) -> Any:
    """The gain of the mask, as words, where it is far from one; nothing where it is about one."""
    gain = r["mask.gain"] if r["mask.form"] == "before the softmax" else r["wiring.gain"]
    if not isinstance(gain, float) or 1e-3 <= gain <= 1e3 or gain <= 0:
        return None
    return {"gain": f"{gain:.0e}"}


def weights_sum_to_one(r: Readings) -> bool:
    """Whether the weights of every slot sum to one."""
    sums = r["weights.sums"]
    return bool(sums) and abs(sums[0] - 1) < 1e-3 and abs(sums[1] - 1) < 1e-3


def is_hard(r: Readings) -> bool:
    """Whether D is exactly 0 or 1, with K ones in every row."""
    return r["decision.values"] == "hard"


def counts(r: Readings) -> list[tuple[int, int, list[int]]]:
    """For each size that was tried: how many tokens were asked for, gathered, and marked by D."""
    asked = r["keep.asked"]
    return list(zip(asked, r["keep.gathered"], r["keep.marked"], strict=True)) if asked else []


def count_is_wrong(r: Readings) -> bool:
    """Whether other than K tokens are gathered, or marked."""
    return any(got != asked or marked != [asked] for asked, got, marked in counts(r))


def selector_trains(r: Readings) -> bool:
    """The selector's own D carries its gradient, and the aggregation takes it: what is lost is lost in between."""
    return r["soft_mask.form"] not in ("none", None) and r["mask.form"] != "none"


def noise_is_there(r: Readings) -> bool:
    """Whether noise was read at all: D's gradient is a softmax's, at the temperature that was given."""
    return r["soft_mask.form"] == "softmax" and r["noise.in_training"] is True
