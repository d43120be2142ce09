"""What was made for one module is not in the answer of another."""

from typing import Any

from sdtps_ref.properties.kit.later_calls import answers
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.later_calls.asking import BOTH, asked, expect_answer, first_answer, subjects

SIZED = ("selector", "aggregator", "pipeline", "branches")


@law(needs="|".join(SIZED), depends=("runtime.has_no_state", "runtime.respects_the_generator"), domain=BOTH)
def others_change_nothing(probe: Probe) -> None:
    """f(x) of a module stays what it was when another one is built, with another tau, K and M, and called.

    Why: a model holds several, and an evaluation builds one beside the one that is trained. Settings that all of them
    share are those of the one that was built last: the temperature of all changes, and no error says so.
    Breaks when: instances write their settings into a table of the file or the class, or into a mutable default.
    Remedy: `self.tau = tau`; `field(default_factory=dict)`; copy what is shared before it is changed.
    """
    for subject in subjects(probe, SIZED):
        found = first_answer(probe, subject)
        if found is None:
            continue
        built, owed = found
        rest, seed = (subject.arguments, subject.named), probe.case.seed
        other = subject.fresh(**_sizes(probe, subject.name))
        asked(probe, answers.answer, subject, other, *rest, seed, doing="another one, called")
        seen = asked(probe, answers.answer, subject, built, *rest, seed, doing="called after another one")
        why = "as it answered before another one was built, with another tau, K or M, and called"
        expect_answer(probe, subject, seen, owed, "after another one", why)


def _sizes(probe: Probe, method: str) -> dict[str, Any]:
    """Those of the other one."""
    case = probe.case
    selects: dict[str, Any] = {"tau": 4 * case.tau, "keep": case.keep - 1}
    pools: dict[str, Any] = {"slots": case.slots + 1}
    if method == "aggregator":
        return pools
    return selects if method == "selector" else selects | pools
