"""How much of D the pipeline's own wiring hands on. A part of `gradient`, which sees any factor as a gain."""

import torch

from sdtps_ref.properties.kit.digits import apart
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_close
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals.aggregation_analysis import gradient_owed_to_decision, kept_tokens
from sdtps_ref.properties.signals.pipeline_analysis import gain_of, read_pipeline, seen_and_owed

CALM = Domain(
    dtypes=("float64",), scores=("distinct",), tokens=("normal",), taus=(1.0, 2.0), modes=(False,), max_tokens=33
)
READABLE = Domain(
    dtypes=("float64",),
    scores=("distinct",),
    tokens=("normal",),
    taus=(1.0, 2.0),
    min_keep=3,
    max_tokens=33,
    draw_tokens=12,
    wide=True,
)
SAME = 1e-4  # a softmax in float32 is off by 1e-6; another temperature, or half of D, by half and more
WHOLE = 1e-2


@law(needs="pipeline", depends="gradient.matches_closed_form", domain=CALM)
def follows_temperature(probe: Probe) -> None:
    """pipeline at tau on score and pipeline at 2 tau on 2 score have one soft mask, so d out/d score is twice as large.

    Why: the selection's own temperature may be right and never reach the model: every gradient is then right
    for a temperature that nobody asked for, and a search over tau finds that it makes no difference.
    Breaks when: the pipeline builds its selection without tau, so that the default holds, or with a constant.
    Remedy: hand tau on to the selection wherever the model builds one.
    """
    tokens, score, tau = probe.tokens, probe.score, probe.case.tau
    pooled = probe.pool()
    cotangent = probe.random(pooled)
    seen = probe.gradient(pooled, score, cotangent)
    other_seed = probe.gradient(probe.pool(seed=1), score, cotangent)
    if not torch.allclose(seen, other_seed, rtol=1e-9, atol=0):
        raise Unsupported("the pipeline draws noise in eval mode")
    doubled = probe.given("doubled_score", 2 * score.detach(), requires_grad=True)
    reached = probe.gradient(probe.pool(tokens, doubled, tau=2 * tau), doubled, cotangent)
    owed = seen / 2
    expect_close(
        probe,
        f"gradient of pooled tokens to 2 * score[bn] at tau = {2 * tau:g}",
        "bn",
        reached,
        owed,
        tolerance=SAME * float(owed.abs().amax()) + 1e-9,
        because=f"half of that to score at tau = {tau:g}, since both have one soft mask; the pipeline does not divide "
        "by the temperature that it is given",
    )


@law(
    needs=("pipeline", "aggregator"),
    level="SHOULD",
    depends=("gradient.follows_temperature", "aggregation.decision_gradient_is_one_gain"),
    domain=READABLE,
)
def gain_is_the_aggregators(probe: Probe) -> None:
    """gain of the pipeline = gain of the aggregator: all that D does in the aggregation reaches the score.

    Why: an aggregation that is called twice, once with D and once without, trains the score by half; the loss falls,
    only slower, and no number says why.
    Breaks when: one branch, head or term gets a detached D or none, or the result is scaled for the gradient only.
    Remedy: hand the same D to every aggregation whose result is added up.
    """
    kept = kept_tokens(probe, probe.case.keep)
    ones = probe.given("decision", torch.ones_like(kept[:, :, 0]), requires_grad=True)
    alone = probe.aggregate(kept, ones)
    directions = probe.random(alone, "directions")
    moved = probe.gradient(alone, ones, directions)
    plain = gradient_owed_to_decision(probe, kept, alone, directions).sum(1).to(moved)  # B K
    owed_gain = (moved * plain).sum() / (plain * plain).sum().clamp_min(1e-300)

    pooled, readings = read_pipeline(probe)
    gain = gain_of(probe, readings)
    right = abs(gain / owed_gain - 1) < WHOLE
    if right:
        return
    seen, owed = seen_and_owed(probe, pooled, readings)
    b, n = (int(i) for i in torch.unravel_index(owed.abs().argmax(), owed.shape))
    shown, should = apart(float(seen[b, n]), float(owed[b, n] * owed_gain / gain), least=4)
    gained, beside = apart(float(gain), float(owed_gain), least=4)
    raise Violation(
        f"gradient of pooled tokens to score[b={b}, n={n}] = {shown}, but should be about {should}: the gain "
        f"of the pipeline is {gained}, where its aggregator alone has {beside}",
        check=right,
    )
