"""What is wrong with the soft mask: its temperature, its noise, and a gradient that it cancels."""

from __future__ import annotations

from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.noise import FROZEN_NOISE, SHARED_NOISE, refuse_noise
from sdtps_ref.properties.tracing.cause import Cause
from sdtps_ref.properties.tracing.soft_mask_summary import SoftSummary, noise_line, probabilities
from sdtps_ref.properties.tracing.step import Step
from sdtps_ref.properties.watching.sites import Site

ONE_TAKES_ALL = 0.999  # median of the largest p, from which p (1 - p), and with it the gradient, is 1e-3 and less
COLD, HOT = 0.05, 20.0  # temperatures between which a soft mask is meant to be
WIDE = 5  # of a score's spread within a sample, from which a temperature of one is too low for it
CANCELLED = 1e-4  # of the spread of a gradient over its size


def find(step: Step, summaries: dict[int, SoftSummary], backward: bool, repeated: list[Site]) -> list[Cause]:
    """Of every site with a D. repeated: those whose noise is that of the step before."""
    found = []
    for site in step.sites:
        if site.decision is None:
            continue
        summary = summaries[id(site)]
        line = _line(step, site)
        found += _hardness(summary, line)
        found += _noise(step, site, summary, any(site is each for each in repeated))
        if backward:
            found += _cancelled(step, site)
    return found


def _line(step: Step, site: Site) -> SourceLine | None:
    soft = step.flow(site).soft
    return soft.place if soft is not None else (site.decision_call.place if site.decision_call is not None else None)


def _hardness(summary: SoftSummary, line: SourceLine | None) -> list[Cause]:
    tau, largest = summary.tau, summary.largest
    if largest is None:
        return []
    if largest > ONE_TAKES_ALL:
        return [_one_takes_all(summary, largest, line)]
    if tau is None or summary.entropy is None or tau <= HOT or summary.entropy <= 0.99:
        return []
    message = (
        f"the temperature is so high that all tokens are alike: tau = {tau:.3g}, entropy {summary.entropy:.4f} log N"
    )
    effect = f"the score receives 1 / {tau:.3g} of its gradient, and noise decides nothing"
    return [Cause("temperature_high", message, line, effect, "start at tau = 1, or at 5 at most")]


def _one_takes_all(summary: SoftSummary, largest: float, line: SourceLine | None) -> Cause:
    tau, spread = summary.tau, summary.spread
    effect = "one token gets all of the gradient, and that is next to nothing: p (1 - p)"
    if spread is not None and spread > WIDE and (tau is None or tau >= COLD):
        message = (
            f"the score's own scale saturates the soft mask: it spreads by {spread:.2g} within a sample, and one token "
            f"has p = {largest:.6g}"
        )
        fix = "bound the score: a sigmoid, a layer norm, or a smaller initialisation"
        return Cause("saturated", message, line, effect, fix)
    what = f"tau = {tau:.2g}, as read" if tau is not None else "the temperature is too low to be read"
    message = f"the temperature is so low that one token has p = {largest:.6g} ({what})"
    return Cause("temperature_low", message, line, effect, "start at tau = 1 and anneal to 0.1 or more")


def _noise(step: Step, site: Site, summary: SoftSummary, repeated: bool) -> list[Cause]:
    line = noise_line(step.flow(site))
    if summary.noise == "shared":
        return [_not_fresh("noise_shared", SHARED_NOISE, line)]
    if summary.noise == "frozen" or (repeated and summary.noise == "fresh"):
        return [_not_fresh("noise_frozen", FROZEN_NOISE, line)]
    if summary.noise == "none" and step.module.training:
        effect = "the soft mask alone makes the choice trainable; without noise it is merely not explored"
        fix = "draw noise in the forward pass, one number a token: torch.rand_like(score)"
        message = "no noise is added to the score in training"
        return [Cause("noise_absent", message, _line(step, site), effect, fix, accuses=False)]
    return []


def _not_fresh(kind: str, what: str, line: SourceLine | None) -> Cause:
    try:
        refuse_noise(what, line)
    except Violation as violation:  # the law's own words
        return Cause(kind, str(violation), violation.where, violation.effect, violation.fix)
    raise AssertionError("a refusal raises")


def _cancelled(step: Step, site: Site) -> list[Cause]:
    """A gradient that is the same for all tokens, which a softmax takes away."""
    assert site.decision is not None
    flow, slope = step.flow(site), step.reading.gradient(site.decision)
    p = probabilities(flow)
    if slope is None or p is None or slope.numel() != p.numel() or not bool(slope.isfinite().all()):
        return []
    rows = slope.reshape(p.shape).double()
    size = float(rows.abs().max())
    spread = float((rows - rows.mean(-1, keepdim=True)).abs().max())
    if size == 0 or p.shape[-1] < 2 or spread > CANCELLED * size:
        return []
    first = next((flow.calls[n] for n in flow.after if flow.calls[n].name in ("sum", "mean", "einsum", "matmul")), None)
    return [
        Cause(
            "cancelled",
            "D's gradient is the same for every token, and the softmax behind D cancels it: its entries sum to one",
            first.place if first is not None else (site.decision_call.place if site.decision_call else None),
            "the score receives nothing but rounding errors: the selection stays what it was at initialisation",
            "use D token by token, where the tokens are pooled; not its sum or mean",
        )
    ]
