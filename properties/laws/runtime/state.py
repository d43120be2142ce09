"""How the code behaves as a part of a program: what it does to its inputs, what it remembers, what it draws."""

import torch
from torch import Tensor

from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.digits import apart
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.execution_modes import Region, memory, snapshot, train_step, without_gradients
from sdtps_ref.properties.kit.expect import expect_equal, expect_keys
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe

TRAIN = Case(batch=3, num_tokens=20, keep=7, dim=8, slots=3, tau=0.7, scores="distinct")
EVAL = Case(batch=3, num_tokens=20, keep=7, dim=8, slots=3, training=False, scores="distinct", seed=1)
# Of what `_forward` and `train_step` return.
AXES = {
    "decision": "bn",
    "selected_tokens": "bkc",
    "selected_decision": "bk",
    "pooled tokens": "bmc",
    "gradient to score": "bn",
    "gradient to tokens": "bnc",
}
ALL_KEPT = Case(batch=2, num_tokens=5, keep=5, dim=8, slots=2, scores="distinct", seed=2)


@law(needs="selector|aggregator|pipeline", domain=Domain(fixed=(TRAIN, EVAL, ALL_KEPT)))
def inputs_untouched(probe: Probe) -> None:
    """tokens, score and D hold after a call what they held before, and nothing was written to them.

    Why: the caller still needs them (the residual around the block, the other branch's score), and
    autograd refuses a backward pass through what was overwritten, or, past `.data`, is silently wrong.
    Under `torch.no_grad()`, where nobody objects, it holds as well.
    Breaks when: `mul_`, `masked_fill_`, `sub_`, `scatter_` or `x[...] = ` is applied to an argument, or to a
    view of one (`detach`, `view`, `[:, :K]` and `expand` share its memory).
    Remedy: the out-of-place form (`masked_fill`, `scatter`), or a `clone()` first.
    """
    score = probe.given("score", probe.score)  # without grad, so that writing to it does not raise
    kept = (probe.score.detach().argsort(dim=-1).argsort(dim=-1) >= probe.case.num_tokens - probe.case.keep).to(score)
    decision = probe.given("decision", kept)
    for method, second in (("selector", score), ("aggregator", decision), ("pipeline", score)):
        if method in probe.methods:
            name = "D" if second is decision else "score"
            called = probe.build(method)
            before = probe.through(snapshot, probe.tokens, second, name="before", doing="copying")
            probe.call(called, probe.tokens, second, name="result")
            _expect_both_untouched(probe, {"tokens": probe.tokens, name: second}, before, method)
            inferring = f"{method} under torch.no_grad()"
            before = probe.through(snapshot, probe.tokens, second, name="before", doing="copying")
            probe.through(without_gradients, called, probe.tokens, second, name="result", doing=inferring)
            _expect_both_untouched(probe, {"tokens": probe.tokens, name: second}, before, inferring)


def _expect_both_untouched(
    probe: Probe, inputs: dict[str, Tensor], before: list[tuple[Tensor, Tensor]], method: str
) -> None:
    after = probe.through(snapshot, *inputs.values(), name="after", doing="copying")
    for (name, tensor), (was, writes), (_, writes_now) in zip(inputs.items(), before, after, strict=True):
        why, axes = f"the {method} writes into its input", "bnc"[: tensor.ndim]
        expect_equal(probe, f"{name}[{axes}] after a call of the {method}", axes, tensor, was, because=why)
        if writes_now != writes:
            raise Violation(
                f"{name}: written to {writes_now - writes} times in a call of the {method}, but should not be (the "
                "values are the same again, which autograd does not see)",
                check=writes_now == writes,
            )


@law(needs="selector|pipeline", depends="runtime.inputs_untouched", domain=Domain(fixed=(EVAL, TRAIN)))
def has_no_state(probe: Probe) -> None:
    """f(x) is the same before and after f(other x), and no weight or buffer is changed or born in a forward pass.

    Why: what a call leaves behind makes results depend on the order of the batches, is lost or wrong in
    a checkpoint, and a parameter that is born in a forward pass is unknown to the optimiser.
    Breaks when: a mask or noise is cached by shape, a running mean of the scores is kept in a buffer, the
    temperature is annealed in `forward`, or a layer is created in `forward` because a size was not known in `__init__`.
    Remedy: compute from the arguments alone, and take every size in `__init__`. What should change with
    training (a temperature) belongs to the training loop.
    """
    case = probe.case
    probe.script.carry(values.modules_in, values._is_filled)
    other_tokens, other_score = probe.random(probe.tokens, "other_tokens", 1), probe.random(probe.score, "other", 2)
    more = 2 * case.batch
    more_tokens = probe.random(probe.tokens.new_zeros(more, *probe.tokens.shape[1:]), "more_tokens", 3)
    more_score = probe.random(probe.score.new_zeros(more, case.num_tokens), "more_score", 4)
    for method in ("selector", "pipeline"):
        if method not in probe.methods:
            continue
        built = probe.build(method)
        before = probe.through(memory, built, name="before", doing="state_dict()")
        first = _forward(probe, method, probe.tokens, probe.score)
        _expect_remembered(probe, method, built, before)
        seen = _forward(probe, method, other_tokens, other_score)
        _forward(probe, method, more_tokens, more_score)
        if not case.training:  # in training there may be dropout
            for name, part in _forward(probe, method, probe.tokens, probe.score).items():
                why = "as the same call gave before; calls with other inputs came between"
                expect_equal(probe, name, AXES[name], part, first[name], because=why)
        fresh = probe.build(method, fresh=True)
        same_weights = probe.through(memory, fresh, name="weights", doing="state_dict()")
        if not case.training and all(
            torch.equal(before[name], same_weights.get(name, before[name])) for name in before
        ):
            owed = _forward(probe, method, other_tokens, other_score)
            for name, part in seen.items():
                why = f"as a fresh {method} gives; this one was called with other inputs before"
                expect_equal(probe, name, AXES[name], part, owed[name], because=why)
        if case.training and method == "selector":
            _expect_forgetful(probe)


def _expect_forgetful(probe: Probe) -> None:
    """In training: a second call under the same seed as the first, unless the noise is not torch's to begin with."""

    def step(of: Region, seed: int = 1) -> dict[str, Tensor]:
        return probe.through(train_step, of, probe.tokens, probe.score, seed, name="step", doing="selector")

    region = region_of(probe, "selector", fresh=True)
    first, second = step(region), step(region)
    fresh, other = step(region_of(probe, "selector", fresh=True)), step(region_of(probe, "selector", fresh=True), 2)
    repeats = all(torch.equal(part, fresh[name]) for name, part in first.items())
    if repeats and not torch.equal(first["gradient to score"], other["gradient to score"]):
        for name, part in first.items():
            why = "as its first call gave under the same torch.manual_seed(1), and as a fresh selector gives"
            axes = AXES.get(name, "i")
            expect_equal(probe, f"{name}[{axes}] of a second call", axes, second[name], part, because=why)


def _forward(probe: Probe, method: str, tokens: Tensor, score: Tensor) -> dict[str, Tensor]:
    if method == "pipeline":
        return {"pooled tokens": probe.pool(tokens, score)}
    selection = probe.select(tokens, score)
    return {"decision": selection.decision, "selected_tokens": selection.selected_tokens}


def _expect_remembered(probe: Probe, method: str, built: object, before: dict[str, Tensor]) -> None:
    after = probe.through(memory, built, name="after", doing="state_dict()")
    born = sorted(set(after) - set(before))
    if born:
        message = f"{method} has {born[0]} after its first call, but should have it from the start"
        expect_keys(probe, message, after, before)
    for name, value in before.items():
        if not torch.equal(value, after[name]):
            entry = (value != after[name]).nonzero()[0].tolist()
            values_seen = apart(*(part[tuple(entry)].item() for part in (after[name], value)))
            raise Violation(
                f"{name}{entry or ''} of the {method} = {values_seen[0]} after a call, but should stay "
                f"{values_seen[1]}: a call trains nothing",
                check=(value == after[name]).all(),
            )


@law(needs="selector|pipeline", depends="runtime.has_no_state", domain=Domain(fixed=(TRAIN,)))
def respects_the_generator(probe: Probe) -> None:
    """Equal seeds give equal bits, other seeds and the next call other noise; torch's generator is only drawn from.

    Why: without it a run cannot be repeated, or every step of it sees the same noise; and a seed that is
    set inside makes all that the caller draws afterwards (dropout, data order) repeat as well.
    Breaks when: `torch.manual_seed` is called inside, the generator's state is saved and put back around
    the noise, or the noise comes from a generator of one's own, or from numpy.
    Remedy: draw with `torch.rand(score.shape, device=score.device)` from the global generator and leave it alone.
    """
    method = "selector" if "selector" in probe.methods else "pipeline"
    region = region_of(probe, method)

    def step(seed: int, calls: int = 1, of: Region = region) -> dict[str, Tensor]:
        return probe.through(train_step, of, probe.tokens, probe.score, seed, calls, name="step", doing=method)

    one, again, two = step(1), step(1), step(2)
    for name, part in one.items():
        why = f"as before under the same torch.manual_seed(1): the {method} draws from another generator"
        expect_equal(probe, name, AXES.get(name, "i"), again[name], part, because=why)
    drawn = "gradient to score"
    next_one, next_two = one["next draws"], two["next draws"]
    if torch.equal(next_one, next_two):
        raise Violation(
            f"after a call of the {method}, torch.rand gives {next_two[0]:.6g} whether the seed was 1 or 2, but should "
            "give other numbers: torch is reseeded inside",
            check=(next_one != next_two).any(),
        )
    if not torch.equal(one[drawn], two[drawn]):
        second = step(1, calls=2)
        if torch.equal(one[drawn], second[drawn]):
            raise Violation(
                f"the {method}'s second call after a seed has the noise of its first, but should have other noise: "
                "the generator is put back",
                check=(one[drawn] != second[drawn]).any(),
            )
        return
    if method == "selector":  # no noise at all is another law's; the same noise for ever is not
        calm = step(1, of=region_of(probe, method, training=False))
        if calm[drawn].any() and not torch.allclose(calm[drawn], one[drawn], rtol=1e-3, atol=1e-6):
            raise Violation(
                "the noise in training is the same whatever the seed, but should come from torch's generator",
                check=(one[drawn] != two[drawn]).any(),
            )


def region_of(probe: Probe, method: str, **build: bool) -> Region:
    """The implementation's selector, aggregator or pipeline as `running` takes it."""
    return probe.through(Region, probe.build(method, **build), name="region", doing=method)
