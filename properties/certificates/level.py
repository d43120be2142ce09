"""How much of SDTPS a certificate speaks of: which of the contract's methods were really measured.

A method counts as measured where the core of laws that is stated here was judged on it and passed, or failed as
was expected. One that nobody saw at work counts as missing, however many laws found nothing to object to.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sdtps_ref.properties.certificates.certificate import LawResult

# By method of the contract, the laws without which nothing is known of it; of ids joined by `|` one suffices.
CORE: Mapping[str, tuple[str, ...]] = {
    "selector": (
        "shape.follows_inputs",
        "decision.forward_is_hard",
        "decision.keeps_top_k",
        "decision.backward_is_softmax",
        "gradient.is_finite",
        "gradient.reaches_score",
        "selection.gathers_kept_tokens",
    ),
    "aggregator": (
        "shape.follows_inputs",
        "aggregation.ignores_dropped_tokens",
        "aggregation.is_convex",
        "aggregation.decision_gradient_is_one_gain",
    ),
    "pipeline": (
        "shape.follows_inputs",
        "gradient.is_finite",
        "gradient.reaches_score",
        "gradient.matches_closed_form",
    ),
    "multimodal": ("multimodal.shape_follows_inputs", "multimodal.decision_reaches_own_aggregator"),
    "branches": ("branches.shape_follows_inputs", "branches.decision_acts_in_its_own_branch"),
    "model": ("training.everything_is_trained",),
    "call": (
        "call.gradient_reaches_score",
        "call.decision_is_hard|call.own_backward_stays_in_its_sample|call.weights_are_of_the_kept",
    ),
}
# What is to be measured for each level, the highest first; of names joined by `|` one suffices.
LEVELS: Mapping[str, tuple[str, ...]] = {
    "full": ("selector", "aggregator", "pipeline", "multimodal|model"),
    "pipeline": ("selector", "aggregator", "pipeline"),
    "selection": ("selector|call",),
}
CORE_LAWS = frozenset(law for laws in CORE.values() for one in laws for law in one.split("|"))
# Which pass only where every method gave an answer to compare: what raises now and then is at work, and wrong.
AT_WORK = frozenset({"later_calls.nothing_is_remembered", "runtime.same_while_compiling"})
JUDGED = ("passed", "xfailed")
NOT_RUN = "not run: "  # how the reason of a law begins that the run had no time for, or no hope
OUT_OF_TIME = "did not finish within"  # what is said of one that did not come to an end


def measured(methods: Iterable[str], laws: Iterable["LawResult"]) -> tuple[str, ...]:
    """Those of `methods` whose core was judged: nothing in it is skipped, blocked, an error or not as expected."""
    status = {result.id: result.status for result in laws}
    return tuple(
        method
        for method in methods
        if method in CORE and all(any(status.get(law) in JUDGED for law in one.split("|")) for one in CORE[method])
    )


def level_of(methods: Iterable[str]) -> str | None:
    """The highest level for which these methods suffice; None where they do not for any."""
    have = set(methods)
    for level, needed in LEVELS.items():
        if all(have & set(one.split("|")) for one in needed):
            return level
    return None
