"""What has nothing to do with each other: modalities, the order of a mapping, the caller's tensors, one result and the
next.
"""

import torch
from torch import Tensor

from sdtps_ref.properties.kit import belongings, differences
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_close, expect_equal, expect_nothing
from sdtps_ref.properties.kit.later_calls.answers import copied, floating
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.values import _is_filled, gradient, modules_in, spoiled
from sdtps_ref.properties.laws.later_calls.asking import FEW, METHODS, subjects
from sdtps_ref.properties.laws.multimodal.inputs import NAMES, inputs_by_name, run_modalities

EVAL = Domain(fixed=(Case(3, 11, 4, 16, 2, dtype="float64", training=False),))
BOTH = Domain(
    fixed=(
        Case(2, 9, 4, 16, 3, scores="distinct"),
        Case(2, 9, 9, 16, 3, training=False, seed=1),
        Case(2, 9, 9, 16, 3, scores="distinct", seed=2),
    )
)
LEFT_ALONE = Domain(fixed=(Case(2, 7, 3, 8, 2, dtype="float64"), Case(3, 8, 4, 8, 2, scores="distinct", seed=1)))
SAME = 1e-6


@law(needs="multimodal", depends="multimodal.shape_follows_inputs", domain=EVAL)
def order_of_the_mapping(probe: Probe) -> None:
    """f(tokens, features) is the same by name, in whatever order the mappings hold the modalities, each of the two.

    Why: a mapping is read by name. A data loader, a JSON file or a sorted configuration brings them in another order,
    and the infrared tokens are scored as the visible ones.
    Breaks when: `.values()` or an index stands where a name belongs, or names are zipped with what was given.
    Remedy: `tokens[name]` and `features[name]` for each of the names that the module was built with.
    """
    tokens, features = inputs_by_name(probe, NAMES)
    owed = run_modalities(probe, NAMES, tokens, features)
    turned = [dict(sorted(part.items(), key=lambda item: NAMES[::-1].index(item[0]))) for part in (tokens, features)]
    rolled = {name: tokens[name] for name in (*NAMES[1:], NAMES[0])}
    for which, given in (
        ("tokens", (turned[0], features)),
        ("features", (tokens, turned[1])),
        ("tokens and features", (rolled, turned[1])),
    ):
        seen = run_modalities(probe, NAMES, *given)
        for name in NAMES:
            tolerance = SAME * float(owed[name].detach().abs().amax())
            why = f"as before the mapping of the {which} held its names in another order"
            title = f"multimodal(...)[{name!r}]"
            expect_close(probe, title, "bmc", seen[name], owed[name], tolerance=tolerance, because=why)


@law(needs="multimodal", depends="multimodal.shape_follows_inputs", domain=EVAL)
def tokens_of_other_modalities(probe: Probe) -> None:
    """out[m] depends on the tokens of m and on the global features: other modalities' tokens may be anything, and
    receive no gradient from it.

    Why: the modalities guide each other by their global features, and by nothing else. What leaks from one's tokens
    into another's slots is not there when that modality is missing.
    Breaks when: scores are normalised over the modalities, stacked along the wrong axis, D or an extra token is
    another's, or a loop variable is left over from the last one.
    Remedy: keep one modality's tokens, score, selection and aggregation together, by name.
    """
    tokens, features = inputs_by_name(probe, NAMES)
    owed = run_modalities(probe, NAMES, tokens, features)
    for changed in NAMES:
        other = probe.given(f"other_{changed}", 3 * tokens[changed].detach().flip(0, 1), requires_grad=True)
        seen = run_modalities(probe, NAMES, tokens | {changed: other}, features)
        for name in NAMES:
            if name == changed:
                continue
            tolerance = SAME * float(owed[name].detach().abs().amax())
            why = f"as before the tokens of {changed!r} were changed, and nothing else"
            title = f"multimodal(...)[{name!r}]"
            expect_close(probe, title, "bmc", seen[name], owed[name], tolerance=tolerance, because=why)
            reached = probe.gradient(owed[name], tokens[changed], probe.random(owed[name]))
            why = f"the output of {name!r} depends on the tokens of {changed!r}"
            title = f"gradient of multimodal(...)[{name!r}] to the tokens of {changed!r}"
            expect_close(probe, title, "bnc", reached, torch.zeros_like(reached), tolerance=0.0, because=why)


@law(needs="|".join(METHODS), domain=BOTH)
def what_is_passed_in(probe: Probe) -> None:
    """After a call every tensor and mapping that was passed in is what it was: values, version, requires_grad, grad,
    hooks, names and what they stand for; with and without gradients.

    Why: the caller goes on with them: a residual, a second branch, a teacher, the next epoch of a cached feature.
    Breaks when: a mapping's entry is replaced or popped, `requires_grad_` is called on an argument, a hook is
    registered on it, or something is computed in place.
    Remedy: work on new tensors and a new dict; `detach().requires_grad_()` for a leaf of one's own.
    """
    _carry(probe)
    for subject in subjects(probe):
        built = subject.fresh()
        for way in ("with gradients", "of leaves", "without gradients", "in inference mode"):
            found = probe.through(
                belongings.changed_by_a_call,
                built,
                subject.arguments,
                subject.named,
                way,
                name="changed",
                doing=f"{subject.name} {way}",
            )
            told = found[0] if found else "nothing"
            expect_nothing(
                probe,
                f"a call of the {subject.name} {way} changes what was passed in: {told}; it should be left as it was",
                found,
            )


@law(needs="|".join(FEW), domain=BOTH)
def results_are_the_callers(probe: Probe) -> None:
    """What a call returned stays as it is in later calls, and writing into it changes no later result, no weight and
    no input.

    Why: results are collected in a list, kept for a loss at the end of the step, or changed in place by the next
    layer.
    Breaks when: an output buffer is used again, a cached tensor, a weight or a view of one is handed out, or K = N
    returns the caller's own tokens.
    Remedy: return new tensors; `clone()` what is kept.
    """
    _carry(probe)
    for subject in subjects(probe, FEW):
        for way in ("with gradients", "without gradients", "in inference mode"):
            found = probe.through(
                belongings.results_that_change,
                subject.fresh(),
                subject.arguments,
                subject.named,
                way,
                probe.case.seed,
                name="changed",
                doing=f"{subject.name} {way}",
            )
            told = found[0] if found else "nothing"
            expect_nothing(probe, f"{subject.name}, called {way}: {told}", found)


@law(needs="selector|aggregator", depends="gradient.is_finite", domain=LEFT_ALONE)
def incoming_gradients_are_left_alone(probe: Probe) -> None:
    """The gradient that a backward pass is given is the same afterwards.

    Why: autograd hands one tensor to all that need it. What a backward pass writes into it, the other summands of the
    loss receive as well, and `torch.autograd.grad(..., grad_outputs)` changes what its caller holds.
    Breaks when: a backward pass of one's own saves memory by `grad.sub_(...)`, or writes into `grad.contiguous()`,
    which is `grad` itself where it is contiguous.
    Remedy: `grad - ...`, or `grad.clone()` first.
    """
    if "selector" in probe.methods:
        decision = probe.select().decision
        _expect_left_alone(probe, decision, probe.score, "bn", "decision")
    if "aggregator" in probe.methods:
        tokens = probe.tracked_tokens()
        ones = probe.given("ones", torch.ones_like(tokens[:, :, 0]), requires_grad=True)
        _expect_left_alone(probe, probe.aggregate(tokens, ones), tokens, "bmc", "aggregated_tokens")


def _expect_left_alone(probe: Probe, output: Tensor, source: Tensor, axes: str, name: str) -> None:
    change = probe.define("change", spoiled, output, source, probe.random(output), helpers=(gradient,))
    nothing = torch.zeros_like(change)
    expect_equal(probe, f"change of the gradient to {name}[{axes}]", axes, change, nothing, because="it is not its own")


def _carry(probe: Probe) -> None:
    probe.script.carry(
        _is_filled, modules_in, differences.tensors_of, copied, floating, belongings.called, belongings.by_place
    )
