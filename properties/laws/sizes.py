"""Sizes, values, layouts and dtypes in pairs: what holds for a few tokens of ordinary scores holds for all of them."""

from dataclasses import replace

import torch
from torch import Tensor

from sdtps_ref.properties.kit import jacobians, values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.coverage import covering_cases
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.execution_modes import for_inference, memory, without_gradients
from sdtps_ref.properties.kit.expect import expect_close, expect_equal, expect_shape
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.decision import expect_highest
from sdtps_ref.properties.laws.selection import kept_positions
from sdtps_ref.properties.signals.aggregation_analysis import rounding

PAIRS = covering_cases()
LARGE = (
    Case(2, 4099, 2048, 8, 2, training=False),
    Case(1027, 3, 2, 8, 2, dtype="float64", scores="far"),
    Case(2, 401, 301, 8, 2, dtype="bfloat16", scores="distinct", training=False),  # beyond what it counts one by one
    Case(1, 4099, 2051, 8, 2, dtype="float16", scores="distinct", training=False),
)
HALVES = (
    Case(3, 12, 4, 8, 2, dtype="bfloat16", scores="distinct"),
    Case(2, 16, 6, 8, 2, dtype="float16", scores="distinct", seed=1),
    Case(3, 12, 5, 8, 2, dtype="bfloat16", scores="distinct", training=False, seed=2),
)
SMOOTH = covering_cases(
    dtype=("float64", "float32"), scores=("normal", "distinct", "constant", "close", "far"), dim=(8,), slots=(1,)
)
# Each is repeated until there are as many tokens as said; the batch is as large as it looks.
REPEATED = (
    (Case(2, 3, 1, 8, 2, dtype="float64", training=False), 33),
    (Case(5, 4, 3, 8, 3, dtype="float64", training=False, seed=1), 43),
    (Case(2, 13, 5, 16, 7, dtype="float64", training=False, seed=2), 13),
    (Case(1, 12, 5, 8, 2, dtype="float32", training=False, scores="distinct", seed=3), 87),
    (Case(2, 3, 2, 8, 33, dtype="float64", training=False, seed=4), 1367),
    (Case(3, 8, 4, 72, 1, dtype="float32", training=False, scores="distinct", seed=5), 16),
)
TIMES = dict(REPEATED)
MANY = (
    Case(66, 7, 3, 8, 2, dtype="float64", training=False),
    Case(130, 5, 2, 16, 3, training=False, scores="distinct", seed=1),
    Case(1030, 4, 2, 8, 2, dtype="float64", training=False, seed=2),
)
ROUNDING = {"float64": 1e-6, "float32": 1e-4, "bfloat16": 0.1, "float16": 2e-2}
RATE, STRUCTURE = 1e-3, 1e-3
LEFT = 0.05  # of a sum of absolute values; rounding to eight bits leaves a hundredth


@law(needs="selector", depends="selection.gathers_kept_tokens", domain=Domain(fixed=(*PAIRS, *LARGE)))
def selection_is_exact(probe: Probe) -> None:
    """D = one at topk(score, K), V_s = the tokens there, the extra token the others pooled: at every size, in every
    dtype, for every kind of scores, with and without gradients.

    Why: what is right for 20 tokens of ordinary scores breaks for the 65th sample, at the edge of a kernel's tile,
    for scores that tie or differ in their last digit, in one dtype, or only where no gradient is asked for.
    Breaks when: samples or tokens go in chunks and an index does not start anew, indices are held in a small integer
    type, scores are cast, rounded, clamped or shifted by an epsilon before they are ranked, a threshold
    (`score >= kth`) marks ties, or inference takes another way than training.
    Remedy: `topk(score, K).indices`, the hard mask and the gather of these indices, in one way for every size and mode.
    """
    case = probe.case
    selection = probe.select()
    _expect_selection(probe, selection, "")
    without, what = (without_gradients, "torch.no_grad()") if case.seed % 2 else (for_inference, "inference_mode()")
    built = probe.build("selector")
    again = probe.through(without, built, probe.tokens, probe.score, name="again", doing=f"selector under {what}")
    for name, axes in (("decision", "bn"), ("selected_tokens", "bkc"), ("selected_decision", "bk")):
        owed, seen = getattr(selection, name), getattr(again, name, None)
        if owed is not None and isinstance(seen, Tensor):
            expect_equal(probe, f"{name}[{axes}] under {what}", axes, seen, owed, because="as with gradients")


def _expect_selection(probe: Probe, selection, suffix: str) -> None:  # type: ignore[no-untyped-def]
    case, decision = probe.case, selection.decision
    expect_shape(probe, "decision", decision, (case.batch, case.num_tokens))
    owed = (decision.detach() > 0.5).to(decision.dtype)
    expect_equal(probe, "decision", "bn", decision, owed)
    ones = owed.sum(-1, dtype=torch.float64)
    if not (ones == case.keep).all():
        b = int((ones != case.keep).nonzero()[0])
        raise Violation(
            f"decision[b={b}] keeps {int(ones[b])} of {case.num_tokens} tokens, but should keep K = {case.keep}",
            check=ones[b] == case.keep,
        )
    expect_highest(probe, decision, probe.score)
    positions = selection.keep_indices
    if positions is None:
        positions = kept_positions(decision)
    else:
        at_kept = owed.gather(-1, positions)
        if not at_kept.all() or not (positions.sort(-1).values.diff(dim=-1) > 0).all():
            raise Violation(
                "keep_indices are not the positions at which decision is one, each once",
                check=at_kept.all() & (positions.sort(-1).values.diff(dim=-1) > 0).all(),
            )
    gathered = probe.tokens.gather(1, positions.unsqueeze(-1).expand(-1, -1, case.dim))
    seen = selection.selected_tokens
    expect_shape(probe, "selected_tokens", seen, tuple(gathered.shape))
    if selection.keep_indices is None:  # any order is right: both in one order
        direction = probe.random(probe.tokens[:1, :1], "direction")
        seen, gathered = (_in_order(part.detach(), direction) for part in (seen, gathered))
    expect_equal(probe, "selected_tokens", "bkc", seen, gathered, because="as tokens at the kept positions has it")
    if selection.selected_decision is not None:
        ones = torch.ones_like(selection.selected_decision)
        expect_equal(probe, "selected_decision", "bk", selection.selected_decision, ones)
    _expect_extra(probe, selection.extra_token, owed > 0.5)


def _in_order(selected: Tensor, direction: Tensor) -> Tensor:
    """The tokens of each sample, ordered by their product with a direction."""
    order = (selected.double() * direction).sum(-1).argsort(-1)
    return selected.gather(1, order.unsqueeze(-1).expand_as(selected))


def _expect_extra(probe: Probe, extra: Tensor | None, kept: Tensor) -> None:
    if extra is None:
        return
    score, tokens = probe.score.detach().double(), probe.tokens.double()
    if probe.case.keep == probe.case.num_tokens:
        owed = torch.zeros_like(extra, dtype=torch.float64)
    else:
        owed = score.masked_fill(kept, -torch.inf).softmax(-1).unsqueeze(1) @ tokens
    tolerance = ROUNDING[probe.case.dtype] * float(tokens.abs().amax())
    why = "as the dropped tokens give, weighted by the softmax of their scores"
    expect_close(probe, "extra_token", "bic", extra, owed, tolerance=tolerance, because=why)


@law(needs="selector", depends="decision.backward_is_softmax", domain=Domain(fixed=SMOOTH))
def backward_is_softmax(probe: Probe) -> None:
    """d(D . c)/d score_n = p_n (c_n - p . c) / tau: at every size, for tau from 0.05 to 20, in float32 and float64.

    Why: a temperature that is annealed passes through all of these, and a gradient that is right for 12 tokens may be
    another one's for 1030.
    Breaks when: tau is clamped or rounded, an epsilon is added to it, the soft mask is cut off or flattened where it
    is small, or a softmax runs over a part of the tokens.
    Remedy: `soft = softmax((score + noise) / tau, dim=-1)` over all tokens, with the temperature that was given.
    """
    case = probe.case
    decision = probe.select().decision
    cotangent = probe.random(decision)
    seen = probe.gradient(decision, probe.score, cotangent)
    if case.num_tokens < 3:
        return
    rows = probe.define("rows", jacobians.first_rows, decision, probe.score, helpers=(values.gradient,))
    log_p, rate = probe.define("read", jacobians.softmax_of_rows, rows)
    owed = probe.define("owed", jacobians.softmax_product, log_p, rate, cotangent)
    readable = owed.isfinite().all(-1)
    if not readable.any():
        return
    off = (rate * case.tau - 1).abs().masked_fill(~readable, 0)
    if off.amax() > RATE:
        b = int(off.argmax())
        found = 1 / float(rate[b])
        raise Violation(
            f"temperature read off the gradient of decision[b={b}] to score = {found:.4g}, but should be tau = "
            f"{case.tau:g}",
            check=off[b] <= RATE,
        )
    largest = float(owed[readable].abs().amax())
    # Where one token takes nearly all, what is left in float32 is the rounding of p.
    tolerance = STRUCTURE * largest + 1e-5 / case.tau
    owed = torch.where(readable.unsqueeze(-1), owed, seen.double())
    why = "no softmax over all tokens of the sample has this gradient"
    expect_close(probe, "gradient of decision to score", "bn", seen, owed, tolerance=tolerance, because=why)
    if not case.training:
        _expect_noiseless_softmax(probe, decision, seen, cotangent)


@law(needs="selector", depends="decision.backward_is_softmax", domain=Domain(fixed=HALVES))
def half_backward_is_symmetric(probe: Probe) -> None:
    """dD_e/d score_n = dD_n/d score_e for a kept token e and a dropped one n, in bfloat16 and float16 too.

    Why: mixed precision is how it is trained, and the backward pass there is seldom looked at. A softmax's Jacobian is
    symmetric, whatever the noise.
    Breaks when: D is clamped to one, or the minimum with one is taken, in half precision alone: that halves or cuts the
    gradient of the kept entries, and leaves that of the others.
    Remedy: make D in one way in every dtype: `hard + (soft - soft.detach())` needs no clamp.
    """
    decision = probe.select().decision
    hard = decision.detach().round()
    kept = probe.given("kept", probe.random(decision) * hard)
    dropped = probe.given("dropped", probe.random(decision, "other") * (1 - hard))
    by_kept = probe.gradient(decision, probe.score, kept).double() * dropped.double()
    by_dropped = probe.gradient(decision, probe.score, dropped).double() * kept.double()
    one, other = by_kept.sum(-1), by_dropped.sum(-1)
    size = by_kept.abs().sum(-1) + by_dropped.abs().sum(-1)
    off = (one - other).abs() > LEFT * size
    if off.any():
        b = int(off.int().argmax())
        raise Violation(
            f"what dropped scores get from the kept entries of decision[b={b}] comes to {float(one[b]):.3g}, and what "
            f"kept scores get from the dropped ones to {float(other[b]):.3g}, but should to the same",
            check=(one[b] - other[b]).abs() <= LEFT * size[b],
        )


def _expect_noiseless_softmax(probe: Probe, decision: Tensor, seen: Tensor, cotangent: Tensor) -> None:
    """In eval mode p is known, unless there is noise."""
    if not torch.equal(seen, probe.gradient(probe.select(seed=1).decision, probe.score, cotangent)):
        return
    case, score = probe.case, probe.score.detach().double()
    log_p = (score / case.tau).log_softmax(-1)
    rates = torch.full_like(score[:, 0], 1 / case.tau)
    owed = probe.define("owed", jacobians.softmax_product, log_p, rates, cotangent)
    # An exponent is as exact as the score over tau is, in the dtype that the softmax is taken in.
    precision = torch.finfo(torch.float32).eps * (1 + float((score / case.tau).abs().amax()))
    tolerance = (STRUCTURE + 8 * precision) * float(owed.abs().amax()) + 1e-5 / case.tau
    why = "as softmax(score / tau) has it, without noise"
    expect_close(probe, "gradient of decision to score", "bn", seen, owed, tolerance=tolerance, because=why)


@law(
    needs="aggregator|pipeline",
    depends="shape.follows_inputs",
    domain=Domain(fixed=tuple(case for case, _ in REPEATED)),
)
def pooling_of_repeated_tokens(probe: Probe) -> None:
    """f(tokens r times over, scores r times over, K r) = f(tokens, scores, K), for up to 4000 tokens; and the gradient
    of each copy is 1 / r of the token's, of its score 1 / r^2.

    Why: a weighted mean does not change when everything in it is there r times, so that small sizes, which other laws
    look at closely, say what large ones must give.
    Breaks when: a kernel or a loop leaves out what is beyond its tile, adds up in halves, or takes the maximum of a
    part; weights are normalised by a constant; or a slot sees a limited number of tokens.
    Remedy: one softmax over all kept tokens, and one product with all of them.
    """
    case = probe.case
    times = TIMES.get(replace(case, device="cpu", seed=case.seed % 1000), 16)
    for method in ("aggregator", "pipeline"):
        if method not in probe.methods:
            continue
        small = probe.build(method)
        large = small
        if method == "pipeline":
            large = probe.build(method, num_tokens=case.num_tokens * times, keep=case.keep * times)
            if not _same_weights(probe, small, large):
                raise Unsupported("its weights depend on the number of tokens")
        if method == "aggregator":
            tokens = probe.tokens[:, : case.keep]
            second = torch.ones_like(tokens[:, :, 0])
        else:
            tokens, second = probe.tokens, probe.score.detach()
        few = [probe.given("few", tokens, requires_grad=True), probe.given("second", second, requires_grad=True)]
        copied = [tokens.repeat(1, times, 1), second.repeat(1, times)]
        recipes = [
            f"{probe.script.shown(f)}.detach().repeat{shape}"
            for f, shape in zip(few, ((1, times, 1), (1, times)), strict=True)
        ]
        many = [
            probe.given(name, part, requires_grad=True, recipe=recipe)
            for name, part, recipe in zip(("many", "many_second"), copied, recipes, strict=True)
        ]
        owed = probe.call(small, *few, name="pooled")
        seen = probe.call(large, *many, name="pooled_many")
        tolerance = rounding(probe, tokens)
        why = f"as the {method} gives for one of the {times} copies of each token"
        what = f"{method} of {tokens.shape[1] * times} tokens"
        expect_close(probe, what, "bmc", seen, owed, tolerance=tolerance, because=why)
        cotangent = probe.random(owed)
        noisy = method == "pipeline" and not torch.equal(
            probe.gradient(owed, few[1], cotangent),
            probe.gradient(probe.call(small, *few, name="pooled", seed=1), few[1], cotangent),
        )
        for i, (name, axes) in enumerate((("tokens", "bnc"), ("D" if method == "aggregator" else "score", "bn"))):
            if i and (noisy or case.keep < 2):
                continue  # one kept token has no gradient to tell
            share = times * times if i and method == "pipeline" else times
            expected = probe.gradient(owed, few[i], cotangent)
            repeated = expected.repeat(1, times, *[1] * (expected.ndim - 2)) / share
            found = probe.gradient(seen, many[i], cotangent)
            close = (1e-6 if case.dtype == "float64" else 2e-3) * float(repeated.abs().amax())
            why = f"1/{share} of the gradient where each token is there once"
            title = f"gradient of the {what} to {name}"
            expect_close(probe, title, axes, found, repeated, tolerance=close + 1e-12, because=why)


def _same_weights(probe: Probe, small: object, large: object) -> bool:
    first, second = memory(small), memory(large)
    return first.keys() == second.keys() and all(
        first[name].shape == second[name].shape and torch.equal(first[name], second[name]) for name in first
    )


@law(needs="aggregator|pipeline", depends="symmetry.batch_independent", domain=Domain(fixed=MANY))
def samples_of_a_large_batch(probe: Probe) -> None:
    """f(batch)[b] = f(batch[b : b + 1]) for the first, the last and the 64th sample of 66, 130 and 1030; forward, and
    the gradient to tokens and score.

    Why: batches of that size are what it is trained with, and nobody looks at the 65th sample.
    Breaks when: samples go in chunks whose start is forgotten, or a buffer or a grid holds so many of them only.
    Remedy: let torch run over the batch, or let the last chunk be a smaller one and count from its start.
    """
    case = probe.case
    for method in ("aggregator", "pipeline"):
        if method not in probe.methods:
            continue
        built = probe.build(method)
        if method == "aggregator":
            whole = [probe.tokens[:, : case.keep], torch.ones_like(probe.score[:, : case.keep])]
        else:
            whole = [probe.tokens, probe.score]
        recipes = [probe.case.recipe("tokens"), probe.case.recipe("score")] if method == "pipeline" else [None, None]
        given = [
            probe.given(name, part, requires_grad=True, recipe=recipe)
            for name, part, recipe in zip(("tokens_given", "second"), whole, recipes, strict=True)
        ]
        together = probe.call(built, *given, name="together")
        cotangent = probe.random(together)
        reached = [probe.gradient(together, part, cotangent) for part in given]
        repeatable = torch.equal(
            reached[1], probe.gradient(probe.call(built, *given, name="again", seed=1), given[1], cotangent)
        )
        for b in (0, 63, 64, case.batch - 1):
            alone = [probe.given(f"sample_{b}", part.detach()[b : b + 1], requires_grad=True) for part in given]
            single = probe.call(built, *alone, name="single")
            why = f"as the {method} gives for that sample alone"
            tolerance = rounding(probe, probe.tokens)
            row = together[b : b + 1]
            probe.script.name(row, f"{probe.script.shown(together)}[{b}:{b + 1}]")
            title = f"{method} of {case.batch} samples, sample {b},"
            expect_close(probe, title, "bmc", row, single, tolerance=tolerance, because=why)
            direction = probe.given("direction", cotangent[b : b + 1])
            for i, (name, axes) in enumerate((("tokens", "bnc"), ("D" if method == "aggregator" else "score", "bn"))):
                if i and (not repeatable or case.keep < 2):
                    continue
                owed = probe.gradient(single, alone[i], direction)
                part = reached[i][b : b + 1]
                probe.script.name(part, f"{probe.script.shown(reached[i])}[{b}:{b + 1}]")
                close = (1e-6 if case.dtype == "float64" else 1e-3) * float(owed.abs().amax()) + 1e-12
                title = f"gradient of the {method} of {case.batch} samples to {name} of sample {b},"
                expect_close(probe, title, axes, part, owed, tolerance=close, because=why)
