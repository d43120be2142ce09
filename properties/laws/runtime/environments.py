"""The same code under other circumstances: layouts, devices, precision, torch-wide settings, large numbers.

The part of `runtime` that asks whether the result stays what it is.
"""

import torch
from torch import Tensor

from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.execution_modes import deterministically, train_step, under_autocast
from sdtps_ref.properties.kit.expect import expect_close, expect_equal, expect_finite
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.decision.forward import forward_is_hard
from sdtps_ref.properties.laws.runtime.state import AXES, EVAL, TRAIN, region_of
from sdtps_ref.properties.laws.shape import follows_inputs

CLOSE = 1e-3  # scores within that of each other: apart in float32, and mostly the same in bfloat16
META = (Case(2, 6, 3, 8, 2, device="meta"), Case(2, 6, 3, 4, 2, device="meta", training=False))
# Scores within a few units of each other and far from zero, then far from each other.
NEAR = (10000.0, 10001.0, 9999.0, 10002.0, 9998.0, 10003.0)
FAR = (1e8, -1e8, 2e4, -3e4, 5e6, 7e7)
LARGE = (
    Case(1, 6, 3, 8, 2, drawn=NEAR),
    Case(1, 6, 3, 8, 2, dtype="float64", drawn=NEAR, training=False),
    Case(1, 6, 3, 8, 2, tau=0.1, drawn=FAR),
    Case(3, 12, 5, 8, 2, scores="huge"),
    Case(2, 12, 5, 8, 2, scores="huge", dtype="bfloat16"),
    Case(1, 12, 5, 8, 2, scores="huge", dtype="float16"),
)
LAYOUTS = ("transposed", "channels_first", "sliced", "expanded", "one_channel")
ROUNDING = 1e-4  # times the largest token: sums in another order


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
            region = region_of(probe, method)
            owed = probe.through(train_step, region, plain_tokens, plain, 0, name="owed", doing=method)
            inputs = f"{layout} tokens and {flat} {'D' if second is decision else 'scores'}"
            doing = f"{method} on {inputs}"
            seen = probe.through(train_step, region, tokens, second, 0, name="seen", doing=doing)
            for name, part in seen.items():
                if name in ("decision", "selected_tokens", "selected_decision", "pooled tokens"):
                    within = tolerance if name == "pooled tokens" else 0.0
                    why = f"as the same values give laid out contiguously; these were {inputs}"
                    expect_close(probe, name, AXES[name], part, owed[name], tolerance=within, because=why)


def _laid_out(probe: Probe, tensor: Tensor, layout: str) -> tuple[Tensor, Tensor]:
    """The tensor in that layout, and the same values contiguous."""
    laid = probe.through(values.lay_out, tensor, layout, name="laid", doing="lay_out")
    return laid, laid.contiguous()


@law(
    needs="selector|aggregator|pipeline",
    level="SHOULD",
    depends="shape.follows_inputs",
    domain=Domain(fixed=META),
)
def runs_on_meta(probe: Probe) -> None:
    """On torch's meta device, where tensors have no values: the code runs, and gives the sizes and the device it owes.

    Why: code that names a device (or leaves it to the default) fails on the first machine with another
    one, or moves tensors back and forth; code that looks at values waits for the device in every step,
    and cannot be compiled, exported or sized beforehand.
    Breaks when: `torch.zeros(n)` or `.cpu()` stands where `device=x.device` belongs, a tensor is held
    outside of the module's parameters and buffers, or `.item()`, `if x.any():` or a boolean mask decides what runs.
    Remedy: create tensors with `new_zeros`, `zeros_like` or `device=score.device`, register buffers, choose
    with `torch.where`, and skip checks of values where `tensor.is_meta`. Two of torch's own look at values or know no
    meta device: `torch.distributions` (pass `validate_args=False`) and `torch.autocast` (leave it out there).
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
    bfloat16 is written into a buffer created in float32, or the soft mask or the score is cast by hand: of scores
    that differ in the third digit bfloat16 makes ties.
    Remedy: give both sides of `soft - soft.detach()` one tensor, take a buffer's dtype from what is written to it, and
    rank the score as it came.
    """
    close = probe.given("close_score", 1 + CLOSE * probe.score.detach(), requires_grad=True)
    for method in ("selector", "pipeline"):
        if method not in probe.methods:
            continue
        region = probe.through(under_autocast, region_of(probe, method), name="cast", doing=method)
        step = probe.through(train_step, region, probe.tokens, close, 0, name="step", doing=f"{method} under autocast")
        if method == "selector":
            _expect_hard(probe, close, step["decision"])
        reached = step["gradient to score"]
        expect_finite(probe, "gradient to score[bn] under autocast", "bn", reached)
        if not reached.any():
            raise Violation(
                f"gradient of the {method} to score is zero everywhere under autocast, but should not be",
                check=reached.any(),
            )


def _expect_hard(probe: Probe, score: Tensor, decision: Tensor) -> None:
    """D is 0 or 1, with K ones a row, where the score is highest."""
    highest = score.detach().topk(probe.case.keep).indices
    owed = torch.zeros_like(score).scatter(-1, highest, 1.0).detach()
    expect_equal(probe, "decision[bn] under autocast", "bn", decision, owed)


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
        region = region_of(probe, method)
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
            why = f"as the {method} gave a call before, from the same inputs and seed"
            expect_equal(probe, name, AXES.get(name, "i"), again[name], part, because=why)


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
        expect_finite(probe, "gradient of decision to score", "bn", reached)
    if "pipeline" in probe.methods:
        pooled = probe.pool()
        expect_finite(probe, "pooled tokens", "bmc", pooled)
        if probe.case.dtype != "float16":  # there the published mask's 1e10 is infinite whatever the score
            reached = probe.gradient(pooled, probe.score, probe.random(pooled))
            expect_finite(probe, "gradient of pooled tokens to score", "bn", reached)
