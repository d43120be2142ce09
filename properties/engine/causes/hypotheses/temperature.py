"""What may be wrong with the size of D's gradient: its temperature, its factor, what becomes of it on its way."""

from __future__ import annotations

from typing import Any

from sdtps_ref.properties.engine.causes.hypothesis import DOWNSTREAM, MISLED, STEEP, Hypothesis, Readings

CLOSE = 1e-3


def _softmax(r: Readings) -> bool:
    return r["soft_mask.form"] == "softmax" and r["soft_mask.samples"] == "independent" and r["gradient.repeats"]


def _temperatures(r: Readings) -> list[tuple[float, float]]:
    given, found = r["temperature.given"], r["temperature.found"]
    if not _softmax(r) or not given or any(isinstance(each, str) for each in found) or given[0] == given[1]:
        return []
    return list(zip(given, found, strict=True))


def _alike(one: float, other: float) -> bool:
    return abs(one - other) <= CLOSE * abs(other)


def _ignored(r: Readings) -> Any:
    read = _temperatures(r)
    found = [one for _, one in read]
    if not read or not _alike(found[0], found[1]) or r["state.temperature_moves"]:
        return None
    return {"found": f"{found[0]:.4g}"}


def _multiplied(r: Readings) -> bool:
    read = _temperatures(r)
    return bool(read) and all(_alike(found * given, 1.0) for given, found in read)


def _another(r: Readings) -> Any:
    read = _temperatures(r)
    if not read or _ignored(r) or _multiplied(r) or all(_alike(found, given) for given, found in read):
        return None
    given, found = read[1]
    factor = f", {found / given:.4g} times what was given" if _alike(read[0][1] / read[0][0], found / given) else ""
    return {"found": f"{found:.4g}", "given": f"{given:g}", "factor": factor}


def _undivided(r: Readings) -> bool:
    """The factor is tau itself, at every tau."""
    read, factors = _temperatures(r), r["soft_mask.factor"]
    if not read or any(isinstance(each, str) for each in factors):
        return False
    return all(_alike(factor, given) for factor, (given, _) in zip(factors, read, strict=True))


def _clamped(r: Readings) -> Any:
    if not _temperatures(r) or _another(r) or _ignored(r) or _multiplied(r):
        return None
    if not all(_alike(factor, 1.0) for factor in r["soft_mask.factor"]):
        return None  # the gradient's size tells a temperature from a factor at one of them alone
    for given, found in r["temperature.extremes"] or []:
        if not isinstance(found, str) and not abs(found - given) <= 1e-2 * given:
            return {"given": f"{given:g}", "found": f"{found:.4g}"}
    return None


def _scaled(r: Readings) -> Any:
    factors, kept = r["soft_mask.factor"], r["soft_mask.kept"]
    if _undivided(r):
        return None
    if not _temperatures(r) or any(isinstance(each, str) for each in factors):
        return None
    if all(_alike(factor, 1.0) for factor in factors):
        return None
    if all(_alike(factor, keep) for factor, keep in zip(factors, kept, strict=True)):
        return {"factor": f"{factors[0]:.4g}", "why": ", which is K: it sums to K as the hard mask does"}
    return {"factor": f"{factors[0]:.4g}", "why": ""}


HYPOTHESES = (
    Hypothesis(
        "temperature.ignored",
        "the soft mask has a temperature of {found} whatever tau is given",
        _ignored,
        ("decision.backward_is_softmax", "gradient.follows_temperature"),
        DOWNSTREAM,
        MISLED,
        3,
        effect="a search over tau finds that it makes no difference",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1)",
    ),
    Hypothesis(
        "temperature.multiplied",
        "the score is multiplied by tau where it should be divided by it",
        _multiplied,
        ("decision.backward_is_softmax", "gradient.follows_temperature"),
        DOWNSTREAM,
        MISLED,
        4,
        effect="a low temperature acts as a high one",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1)",
    ),
    Hypothesis(
        "temperature.another",
        "the soft mask has a temperature of {found} where {given} was given{factor}",
        _another,
        ("decision.backward_is_softmax", "gradient.follows_temperature"),
        DOWNSTREAM,
        MISLED,
        effect="the gradient is right for a temperature that nobody asked for",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1)",
    ),
    Hypothesis(
        "temperature.clamped",
        "a temperature of {given} is not followed: the soft mask then has {found}",
        _clamped,
        ("sizes.backward_is_softmax", "draws.are_gumbel", "decision.backward_is_softmax"),
        ("draws.*", *DOWNSTREAM),
        MISLED,
        effect="annealing ends where nobody meant it to end, and the gradient is that of another temperature",
        fix="tau as it is given, or a ValueError where it is out of range",
    ),
    Hypothesis(
        "gradient.without_temperature",
        "the soft mask's gradient lacks the division by tau: it is tau times what it should be",
        _undivided,
        ("decision.backward_is_softmax", "gradient.gain_is_the_aggregators", "gradient.follows_temperature"),
        DOWNSTREAM,
        MISLED,
        4,
        effect="right at tau = 1, and annealing makes the gradient smaller where it should grow",
        fix="in backward, soft_mask * (gradient - (gradient * soft_mask).sum(-1, keepdim=True)) / tau",
    ),
    Hypothesis(
        "soft_mask.scaled",
        "the soft mask is multiplied by {factor} on its way into D{why}",
        _scaled,
        ("decision.backward_is_softmax", "gradient.gain_is_the_aggregators"),
        DOWNSTREAM,
        MISLED,
        effect="the score's gradient is so many times what it should be",
        fix="decision = hard_mask + (soft_mask - soft_mask.detach()), no factor",
    ),
    Hypothesis(
        "noise.redrawn_in_backward",
        "the noise is drawn again in the backward pass, as by a checkpoint that forgets the generator's state",
        lambda r: r["gradient.repeats"] is False and r["gradient.repeats_seeded"] is not False,
        ("decision.backward_is_linear",),
        DOWNSTREAM,
        MISLED,
        4,
        effect="the gradient is that of another soft mask than the forward pass had",
        fix="checkpoint(..., preserve_rng_state=True)",
    ),
    Hypothesis(
        "gradient.spoils_what_it_saved",
        "the backward pass writes into what the forward pass saved for it: a second one gives another gradient",
        lambda r: r["gradient.repeats"] is False and r["gradient.repeats_seeded"] is False,
        ("decision.backward_is_linear",),
        DOWNSTREAM,
        MISLED,
        4,
        effect="wrong wherever a graph is gone through twice: two losses, retain_graph, a Jacobian",
        fix="no in-place operation in backward; ctx.save_for_backward(...), which notices one",
    ),
    Hypothesis(
        "gradient.clipped",
        "D's gradient is clipped or rescaled on its way to the score",
        lambda r: r["gradient.linear"] is False and r["gradient.repeats"],
        ("decision.backward_is_linear",),
        DOWNSTREAM,
        STEEP,
        3,
        effect="what explodes is hidden, and all large gradients count the same",
        fix="hand the gradient on; clip the norm of the parameters' gradients after backward",
        training="clipped gradient",
    ),
)
