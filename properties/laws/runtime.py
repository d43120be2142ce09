"""How the code behaves as a part of a program: its inputs, its memory, its random numbers, its device and layouts."""

import torch
from torch import Tensor

from sdtps_ref.properties import values
from sdtps_ref.properties.case import Case
from sdtps_ref.properties.domain import Domain
from sdtps_ref.properties.expect import expect_close, expect_equal, expect_finite
from sdtps_ref.properties.law import Violation, law
from sdtps_ref.properties.laws.decision import forward_is_hard
from sdtps_ref.properties.laws.shape import follows_inputs
from sdtps_ref.properties.probe import Probe
from sdtps_ref.properties.running import Region, deterministically, memory, snapshot, train_step, under_autocast

TRAIN = Case(batch=3, num_tokens=20, keep=7, dim=8, slots=3, tau=0.7, scores="distinct")
EVAL = Case(batch=3, num_tokens=20, keep=7, dim=8, slots=3, training=False, scores="distinct", seed=1)
ALL_KEPT = Case(batch=2, num_tokens=5, keep=5, dim=8, slots=2, scores="distinct", seed=2)
META = (Case(2, 6, 3, 4, 2, device="meta"), Case(2, 6, 3, 4, 2, device="meta", training=False))
# Scores within a few units of each other and far from zero, then far from each other.
NEAR = (10000.0, 10001.0, 9999.0, 10002.0, 9998.0, 10003.0)
FAR = (1e8, -1e8, 2e4, -3e4, 5e6, 7e7)
LARGE = (
    Case(1, 6, 3, 4, 2, drawn=NEAR),
    Case(1, 6, 3, 4, 2, dtype="float64", drawn=NEAR, training=False),
    Case(1, 6, 3, 4, 2, tau=0.1, drawn=FAR),
    Case(3, 12, 5, 4, 2, scores="huge"),
    Case(2, 12, 5, 4, 2, scores="huge", dtype="bfloat16"),
    Case(1, 12, 5, 4, 2, scores="huge", dtype="float16"),
)
LAYOUTS = ("transposed", "channels_first", "sliced", "expanded", "one_channel")
ROUNDING = 1e-4  # times the largest token: sums in another order


@law(needs="selector|aggregator|pipeline", domain=Domain(fixed=(TRAIN, EVAL, ALL_KEPT)))
def inputs_untouched(probe: Probe) -> None:
    """tokens, score and D hold after a call what they held before, and nothing was written to them.

    Why: the caller still needs them (the residual around the block, the other branch's score), and
    autograd refuses a backward pass through what was overwritten, or, past `.data`, is silently wrong.
    Breaks when: `mul_`, `masked_fill_`, `sub_`, `scatter_` or `x[...] = ` is applied to an argument, or to a
    view of one (`detach`, `view`, `[:, :K]` and `expand` share its memory).
    Remedy: the out-of-place form (`masked_fill`, `scatter`), or a `clone()` first.
    """
    score = probe.given("score", probe.score)  # without grad, so that writing to it does not raise
    kept = (probe.score.detach().argsort(dim=-1).argsort(dim=-1) >= probe.case.num_tokens - probe.case.keep).to(score)
    decision = probe.given("decision", kept)
    for method, second in (("selector", score), ("aggregator", decision), ("pipeline", score)):
        if method in probe.methods:
            called = probe.build(method)
            before = probe.through(snapshot, probe.tokens, second, name="before", doing="copying")
            probe.call(called, probe.tokens, second, name="result")
            _expect_untouched(probe, f"tokens after {method}", "bnc", probe.tokens, before[0], 0)
            name = "D" if second is decision else "score"
            _expect_untouched(probe, f"{name} after {method}", "bn", second, before[1], 1)


def _expect_untouched(
    probe: Probe, name: str, axes: str, tensor: Tensor, before: tuple[Tensor, int], position: int
) -> None:
    expect_equal(probe, name, axes, tensor, before[0])
    if tensor._version != before[1]:
        writes = tensor._version - before[1]
        raise Violation(
            f"{name} had been written to {writes} times, but should not be (the values are the same as before)",
            check=f"{probe.script.shown(tensor)}._version == before[{position}][1]",
        )


@law(needs="selector|pipeline", domain=Domain(fixed=(EVAL, TRAIN)))
def has_no_state(probe: Probe) -> None:
    """f(x) is the same before and after f(other x), and no weight or buffer is changed or born in a forward pass.

    Why: what a call leaves behind makes results depend on the order of the batches, is lost or wrong in
    a checkpoint, and a parameter that is born in a forward pass is unknown to the optimiser.
    Breaks when: a mask or noise is cached by shape, a running mean of the scores is kept in a buffer,
    or a layer is created in `forward` because a size was not known in `__init__`.
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
                expect_equal(probe, f"{name} of the same call later", "bnc"[: part.ndim], part, first[name])
        fresh = probe.build(method, fresh=True)
        same_weights = probe.through(memory, fresh, name="weights", doing="state_dict()")
        if not case.training and all(
            torch.equal(before[name], same_weights.get(name, before[name])) for name in before
        ):
            owed = _forward(probe, method, other_tokens, other_score)
            for name, part in seen.items():
                expect_equal(probe, f"{name} after another call", "bnc"[: part.ndim], part, owed[name])


def _forward(probe: Probe, method: str, tokens: Tensor, score: Tensor) -> dict[str, Tensor]:
    if method == "pipeline":
        return {"pooled tokens": probe.pool(tokens, score)}
    selection = probe.select(tokens, score)
    return {"decision": selection.decision, "selected_tokens": selection.selected_tokens}


def _expect_remembered(probe: Probe, method: str, built: object, before: dict[str, Tensor]) -> None:
    after = probe.through(memory, built, name="after", doing="state_dict()")
    born = sorted(set(after) - set(before))
    if born:
        raise Violation(
            f"{method} has {born[0]} after its first call, but should have it from the start",
            check=f"{born[0]!r} not in after",
        )
    for name, value in before.items():
        if not torch.equal(value, after[name]):
            raise Violation(
                f"{name} of the {method} is another after a call, but should stay as it was: a call trains nothing",
                check=f"torch.equal(before[{name!r}], after[{name!r}])",
            )


@law(needs="selector|pipeline", domain=Domain(fixed=(TRAIN,)))
def respects_the_generator(probe: Probe) -> None:
    """Equal seeds give equal bits, other seeds and the next call other noise; torch's generator is only drawn from.

    Why: without it a run cannot be repeated, or every step of it sees the same noise; and a seed that is
    set inside makes all that the caller draws afterwards (dropout, data order) repeat as well.
    Breaks when: `torch.manual_seed` is called inside, the generator's state is saved and put back around
    the noise, or the noise comes from a generator of one's own, or from numpy.
    Remedy: draw with `torch.rand(score.shape, device=score.device)` from the global generator and leave it alone.
    """
    method = "selector" if "selector" in probe.methods else "pipeline"
    region = _region(probe, method)

    def step(seed: int, calls: int = 1, of: Region = region) -> dict[str, Tensor]:
        return probe.through(train_step, of, probe.tokens, probe.score, seed, calls, name="step", doing=method)

    one, again, two = step(1), step(1), step(2)
    for name, part in one.items():
        expect_equal(probe, f"{name} under the same seed again", "bnc"[: part.ndim], again[name], part)
    drawn, shown = "gradient to score", probe.script.shown
    next_one, next_two = one["next draws"], two["next draws"]
    if torch.equal(next_one, next_two):
        raise Violation(
            f"after a call of the {method}, torch.rand gives {next_two[0]:.6g} whether the seed was 1 or 2, but should "
            "give other numbers: torch is reseeded inside",
            check=f"not torch.equal({shown(next_one)}, {shown(next_two)})",
        )
    if not torch.equal(one[drawn], two[drawn]):
        second = step(1, calls=2)
        if torch.equal(one[drawn], second[drawn]):
            raise Violation(
                f"the {method}'s second call after a seed has the noise of its first, but should have other noise: "
                "the generator is put back",
                check=f"not torch.equal({shown(one[drawn])}, {shown(second[drawn])})",
            )
        return
    if method == "selector":  # no noise at all is another law's; the same noise for ever is not
        calm = step(1, of=_region(probe, method, training=False))
        if calm[drawn].any() and not torch.allclose(calm[drawn], one[drawn], rtol=1e-3, atol=1e-6):
            raise Violation(
                "the noise in training is the same whatever the seed, but should come from torch's generator",
                check=f"not torch.equal({shown(one[drawn])}, {shown(two[drawn])})",
            )


def _region(probe: Probe, method: str, **build: bool) -> Region:
    return probe.through(Region, probe.build(method, **build), name="region", doing=method)


@law(needs="selector|aggregator|pipeline", domain=Domain(fixed=(EVAL,)))
def layout_does_not_matter(probe: Probe) -> None:
    """f(x) = f(x.contiguous()) for transposed, sliced and expanded tokens and scores, and channels of stride 0.

    Why: tokens come transposed from a convolution, sliced from a class token, expanded from a
    broadcast. Code that reads memory instead of a tensor gathers other tokens, or stops with an error.
    Breaks when: `.view` is called on an argument, `as_strided` or a kernel assumes C-order, or writing
    goes through an expanded view.
    Remedy: `reshape` for `view`, `gather` for flat indices, `contiguous()` before a kernel that needs it.
    """
    kept = probe.given("decision", (probe.score.detach() > 0).to(probe.score))
    for layout in LAYOUTS:
        tokens, plain_tokens = _laid_out(probe, probe.tokens, layout)
        flat = layout if layout in ("sliced", "expanded") else "transposed"  # of what has no channels
        score, plain_score = _laid_out(probe, probe.score, flat)
        decision, plain_decision = _laid_out(probe, kept, flat)
        tolerance = ROUNDING * float(tokens.abs().amax())
        for method, second, plain in (
            ("selector", score, plain_score),
            ("aggregator", decision, plain_decision),
            ("pipeline", score, plain_score),
        ):
            if method not in probe.methods:
                continue
            region = _region(probe, method)
            owed = probe.through(train_step, region, plain_tokens, plain, 0, name="owed", doing=method)
            seen = probe.through(
                train_step, region, tokens, second, 0, name="seen", doing=f"{method} on {layout} tokens and {flat} rows"
            )
            for name, part in seen.items():
                if name in ("decision", "selected_tokens", "selected_decision", "pooled tokens"):
                    within = tolerance if name == "pooled tokens" else 0.0
                    named = f"{name} of {layout} tokens and {flat} rows"
                    expect_close(probe, named, "bnc"[: part.ndim], part, owed[name], tolerance=within)


def _laid_out(probe: Probe, tensor: Tensor, layout: str) -> tuple[Tensor, Tensor]:
    """The tensor in that layout, and the same values contiguous."""
    laid = probe.through(values.lay_out, tensor, layout, name="laid", doing="lay_out")
    plain = laid.contiguous()
    probe.script.name(plain, f"{probe.script.shown(laid)}.contiguous()")
    return laid, plain


@law(needs="selector|aggregator|pipeline", level="SHOULD", depends="shape.follows_inputs", domain=Domain(fixed=META))
def runs_on_meta(probe: Probe) -> None:
    """On tensors that have sizes and no values: the same code runs, and gives the sizes and the device it owes.

    Why: code that names a device (or leaves it to the default) fails on the first machine with another
    one, or moves tensors back and forth; code that looks at values waits for the device in every step,
    and cannot be compiled, exported or sized beforehand.
    Breaks when: `torch.zeros(n)` or `.cpu()` stands where `device=x.device` belongs, a tensor is held
    outside of the module's parameters and buffers, or `.item()`, `if x.any():` or a boolean mask decides what runs.
    Remedy: create tensors with `new_zeros`, `zeros_like` or `device=score.device`, register buffers, choose
    with `torch.where`, and skip checks of values where `tensor.is_meta`.
    """
    follows_inputs.check(probe)


@law(
    needs="selector|pipeline",
    level="SHOULD",
    depends=("decision.keeps_top_k", "gradient.reaches_score"),
    domain=Domain(fixed=(TRAIN, EVAL)),
)
def autocast(probe: Probe) -> None:
    """Under torch.autocast in bfloat16: D is exactly 0 or 1 with K ones, the score's gradient finite and not zero.

    Why: mixed precision is how these models are trained. It runs matrix products in bfloat16 and
    softmax in float32, so two sides of a difference that should cancel may be rounded differently.
    Breaks when: a matrix product stands on one side of the straight-through difference, a result in
    bfloat16 is written into a buffer created in float32, or the soft mask is cast by hand.
    Remedy: give both sides of `soft - soft.detach()` one tensor, and take a buffer's dtype from what is written to it.
    """
    for method in ("selector", "pipeline"):
        if method not in probe.methods:
            continue
        region = probe.through(under_autocast, _region(probe, method), name="cast", doing=method)
        step = probe.through(
            train_step, region, probe.tokens, probe.score, 0, name="step", doing=f"{method} under autocast"
        )
        if method == "selector":
            _expect_hard(probe, step["decision"])
        reached = step["gradient to score"]
        expect_finite(probe, "gradient to score under autocast", reached)
        if not reached.any():
            raise Violation(
                f"gradient of the {method} to score is zero everywhere under autocast, but should not be",
                check=f"{probe.script.shown(reached)}.any()",
            )


def _expect_hard(probe: Probe, decision: Tensor) -> None:
    """D is 0 or 1, with K ones a row."""
    highest = probe.score.detach().topk(probe.case.keep).indices
    owed = torch.zeros_like(probe.score).scatter(-1, highest, 1.0).detach()
    expect_equal(probe, "decision", "bn", decision, owed)


@law(
    needs="selector|pipeline",
    level="SHOULD",
    depends=("runtime.respects_the_generator", "runtime.inputs_untouched"),
    domain=Domain(fixed=(TRAIN,)),
)
def deterministic_algorithms(probe: Probe) -> None:
    """Forward and backward work under torch.use_deterministic_algorithms(True), twice with the same bits.

    Why: who hunts a bug or repeats an experiment switches it on, and torch then raises at every
    operation whose result depends on the order of threads, and fills fresh memory with NaN.
    Breaks when: `put_` without accumulate, or on CUDA `scatter_add`, `index_add` or a cumulative sum is used,
    or `torch.empty` is read where nothing was written.
    Remedy: `scatter` or a comparison for the mask, `gather` for the tokens, `zeros` for `empty`.
    """
    probe.script.carry(train_step)  # which `deterministically` calls
    for method in ("selector", "pipeline"):
        if method not in probe.methods:
            continue
        region = _region(probe, method)
        first, again = (
            probe.through(
                deterministically,
                region,
                probe.tokens,
                probe.score,
                0,
                name="step",
                doing=f"{method} under deterministic algorithms",
            )
            for _ in range(2)
        )
        for name, part in first.items():
            expect_equal(probe, f"{name} of the {method}", "bnc"[: part.ndim], again[name], part)


@law(needs="selector|pipeline", depends="shape.follows_inputs", domain=Domain(fixed=LARGE))
def survives_large_scores(probe: Probe) -> None:
    """|score| of 1e4 and more: D is exactly 0 or 1 with K ones, the pooled tokens and all gradients are finite.

    Why: scores are learned and not bounded. exp(89) is infinite in float32, exp(12) in float16; inf / inf
    is NaN, and one NaN in D ends the training.
    Breaks when: a softmax is written as `exp(x) / exp(x).sum()`, exp(score) is computed for its own sake, or
    squares of scores are summed in half precision.
    Remedy: `torch.softmax` or `torch.logsumexp`, which subtract the maximum first.
    """
    if "selector" in probe.methods:
        forward_is_hard.check(probe)
        selection = probe.select()
        cotangent = probe.random(selection.decision)
        reached = probe.gradient(selection.decision, probe.score, cotangent)
        expect_finite(probe, "gradient of decision to score", reached)
    if "pipeline" in probe.methods:
        pooled = probe.pool()
        expect_finite(probe, "pooled tokens", pooled)
        if probe.case.dtype != "float16":  # there the published mask's 1e10 is infinite whatever the score
            reached = probe.gradient(pooled, probe.score, probe.random(pooled))
            expect_finite(probe, "gradient of pooled tokens to score", reached)
