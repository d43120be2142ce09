"""What may be wrong with what a call leaves behind for everything after it."""

from __future__ import annotations

from sdtps_ref.properties.engine.causes.hypothesis import DOWNSTREAM, MISLED, UNTRAINED, Hypothesis, Readings


def _keeps(r: Readings) -> bool:
    return (
        r.has_part("kept")
        and not r["state.answers"]
        and not r["state.buffers"]
        and not r["noise.repeats_with_another_seed"]
    )


HYPOTHESES = (
    Hypothesis(
        "process.gradients",
        "a call leaves gradients switched otherwise for the whole process ({where})",
        lambda r: r["left.gradients"] and {"where": r["left.gradients"]["where"]},
        ("runtime.leaves_*", "later_calls.*", "gradient.is_the_derivative"),
        (*DOWNSTREAM, "aggregation.*", "runtime.*"),
        UNTRAINED,
        4,
        effect="whatever is computed after it has no gradient, or is kept for one that nobody asks for",
        fix="with torch.no_grad(): ... in the caller, around the evaluation",
        training="gradients are left switched off",
        root=True,
    ),
    Hypothesis(
        "state.kept",
        "a call keeps what it computed, and later calls go on with it",
        _keeps,
        ("later_calls.nothing_is_remembered",),
        ("later_calls.*",),
        MISLED,
        effect="weights that were trained or loaded since are not looked at",
        fix="compute it in every call, or anew wherever the weights may have changed",
    ),
)
