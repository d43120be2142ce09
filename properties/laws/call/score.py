"""The score in the user's own call: it tells tokens apart, and what is made of it is not saturated."""

from __future__ import annotations

from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, learned
from sdtps_ref.properties.watching.initialisation import starts_at_zero
from sdtps_ref.properties.watching.record import Call

ALIKE = 1e-5  # of its size, what float32 leaves of numbers that should be the same
FLAT, MOST = 1e-3, 0.6  # a slope below this is saturated; so large a share of the scores may not be


@law(needs="call", domain=CALL)
def score_tells_tokens_apart(probe: Probe) -> None:
    """The scores of a sample's tokens differ: random tokens do not all get the same.

    Why: where all are alike, rounding decides what is kept, and no gradient tells the score's network anything.
    Breaks when: a softmax is summed over the very axis that it is taken over, which gives one for every token; a mean
    over the tokens is taken before the comparison with them.
    Remedy: `attention.amax(-1)`, or the mean of the logits before the softmax.
    """
    reading, sites = learned(probe)
    for site in sites:
        score = site.by_sample(site.score.detach())
        if score.dim() < 2 or score.shape[-1] < 3 or starts_at_zero(reading, site):
            continue
        spread = score.amax(-1) - score.amin(-1)
        if bool((spread <= ALIKE * score.abs().amax(-1)).all()):
            raise Violation(
                f"the score is {float(score.flatten()[0]):.3g} for every token: rounding decides what is kept",
                where=site.score_call.place if site.score_call else site.place,
                effect="the score has no gradient to learn from: the selection stays arbitrary",
                fix="a softmax sums to one over its own axis: use attention.amax(-1), or the logits before it",
            )


@law(needs="call", level="SHOULD", depends="call.score_tells_tokens_apart", domain=CALL)
def score_is_not_saturated(probe: Probe) -> None:
    """Most scores lie where the sigmoid or tanh that they come from has a slope.

    Why: at 0 and 1 it has none: those tokens' scores do not move any more, and many of them tie.
    Breaks when: logits are multiplied by a large number, or divided by a small temperature, before a sigmoid.
    Remedy: rank the logits themselves, and keep them of the order of one.
    """
    reading, sites = decided(probe)
    for site in sites:
        for call in reading.behind_score(site):
            share = _flat(call, site.score)
            if share > MOST:
                raise Violation(
                    f"{share:.0%} of the scores are saturated: {call.name} has no slope where they lie",
                    where=call.place,
                    effect="these tokens' scores hardly learn, and those that are exactly 0 or 1 tie",
                    fix="rank the logits before it, of the order of one, in place of its result",
                )


def _flat(call: Call, score: Tensor) -> float:
    """The share of a sigmoid's or tanh's results that is at its ends."""
    if call.name not in ("sigmoid", "tanh", "sigmoid_") or not call.tensors or call.tensors[0].numel() != score.numel():
        return 0.0
    value = call.tensors[0].detach().double()
    slope = value * (1 - value) if call.name != "tanh" else 1 - value * value
    return float((slope < FLAT).double().mean())


@law(needs="call", domain=CALL)
def score_is_normalised_by_channels(probe: Probe) -> None:
    """`F.normalize` of tokens B N C on their way to the score is told its axis: the channels, dim=-1.

    Why: its default is dim=1, which in B N C is the tokens. What should be a cosine then depends on the lengths of all
    other tokens, and long tokens score high.
    Breaks when: `F.normalize(tokens)` is called without dim.
    Remedy: `F.normalize(tokens, dim=-1)`.
    """
    reading, sites = learned(probe)
    for site in sites:
        for call in reading.behind_score(site):
            if call.name != "normalize" or call.kwargs.get("dim") != 1 or call.read[0].dim() != 3:
                continue
            _, tokens, channels = call.read[0].shape
            if tokens == site.ranked.shape[-1] != channels and call.place is not None and "dim" not in call.place.text:
                raise Violation(
                    "F.normalize without dim normalises B N C over the tokens, and not over the channels",
                    where=call.place,
                    effect="the score is no cosine: it depends on the lengths of all other tokens, and long ones win",
                    fix="F.normalize(tokens, dim=-1)",
                )
