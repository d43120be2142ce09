"""The score in the user's own call: it tells tokens apart, and what is made of it is not saturated."""

from __future__ import annotations

import linecache
import re

from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, learned, passes_of
from sdtps_ref.properties.watching.contracting import contracted_with, ends_in_channels
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.starting import starts_at_zero

ALIKE = 1e-5  # of its size, what float32 leaves of numbers that should be the same
LONG = 8  # lines of a statement
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
        if score.dim() < 2 or score.shape[-1] < 3 or not score.isfinite().all() or starts_at_zero(reading, site):
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
    shares: dict[str, list[tuple[float, Call]]] = {}
    for site in sites:
        for call in reading.behind_score(site):
            share = _flat(call, site.score)
            if share is not None:
                shares.setdefault(str(call.place), []).append((share, call))
    for of_line in shares.values():
        share, call = min(of_line, key=lambda each: each[0])  # of a line in every layer, one has more than another
        if share > MOST:
            raise Violation(
                f"{share:.0%} of the scores are saturated: {call.name} has no slope where they lie",
                where=call.place,
                effect="these tokens' scores hardly learn, and those that are exactly 0 or 1 tie",
                fix="rank the logits before it, of the order of one, in place of its result",
            )


def _flat(call: Call, score: Tensor) -> float | None:
    """The share of a sigmoid's or tanh's results that is at its ends; None of any other call."""
    if call.name not in ("sigmoid", "tanh", "sigmoid_") or not call.tensors or call.tensors[0].numel() != score.numel():
        return None
    value = call.tensors[0].detach().double()
    slope = value * (1 - value) if call.name != "tanh" else 1 - value * value
    return float((slope < FLAT).double().mean())


@law(needs="call", domain=CALL)
def score_is_normalised_by_channels(probe: Probe) -> None:
    """`F.normalize` of tokens B N C is told its axis, the channels: dim=-1. On their way to the score, or to a cosine.

    Why: its default is dim=1, which in B N C is the tokens. What should be a cosine then depends on the lengths of all
    other tokens, padding among them, and long tokens score high.
    Breaks when: `F.normalize(tokens)` is called without dim.
    Remedy: `F.normalize(tokens, dim=-1)`.
    """
    reading = passes_of(probe).reading()
    for call in reading.watched.calls:
        if call.name != "normalize" or call.kwargs.get("dim") != 1 or call.read[0].dim() != 3 or not _is_untold(call):
            continue
        if _is_of_tokens(reading, call):
            raise Violation(
                "F.normalize without dim normalises B N C over the tokens, and not over the channels",
                where=call.place,
                effect="it is no cosine: it depends on the lengths of all other tokens, and long ones win",
                fix="F.normalize(tokens, dim=-1)",
            )


def _is_untold(call: Call) -> bool:
    """Whether the user's statement leaves the axis to the default."""
    if call.place is None:
        return False
    text = call.place.text
    for number in range(call.place.line + 1, call.place.line + LONG):  # as far as its brackets go
        if text.count("(") <= text.count(")"):
            break
        text += linecache.getline(call.place.file, number)
    return "dim" not in text and "axis" not in text and not re.search(r",\s*2(\.0?)?\s*,\s*1\s*[,)]", text)


def _is_of_tokens(reading: Reading, call: Call) -> bool:
    """Whether axis 1 is that of the tokens: they are ranked along it, or the last one is that of channels."""
    _, tokens, channels = call.read[0].shape
    ranked = {(site.ranked.shape[-1], reading.graph.depends(site.choice.number, call.number)) for site in reading.sites}
    if tokens != channels and (tokens, True) in ranked:
        return True
    if any(channels == count for count, _ in ranked):
        return False  # B C N, tokens last
    return contracted_with(reading, call) is not None and ends_in_channels(reading, call.read[0])
