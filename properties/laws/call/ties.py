"""Equal scores in the user's own call."""

from __future__ import annotations

import torch
from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.sites import Site

FEW = 3  # tokens that may tie by chance
FLAT = ("relu", "relu6", "threshold", "clamp", "clamp_min", "clamp_max", "clip", "hardtanh", "hardsigmoid", "maximum",
        "minimum", "round", "floor", "ceil", "trunc", "fake_quantize_per_tensor_affine")  # fmt: skip


@law(needs="call", depends="call.score_tells_tokens_apart", domain=CALL)
def ties_do_not_decide(probe: Probe) -> None:
    """Which tokens are the last to be kept is decided by their scores, and not by where equal scores stand.

    Why: a function that is flat over half of the scores gives those tokens one score. Which of them are kept is then
    a matter of their places, and none of them gets a gradient by which to change that.
    Breaks when: `relu`, `clamp` or a quantisation to numbers from zero on stands before the ranking, and the scores
    have both signs.
    Remedy: rank the numbers before it, or shift them first.
    """
    reading = passes_of(probe).reading()
    ranked = [site for site in reading.sites if site.choice.name in ("topk", "sort", "argsort")]
    if not ranked:
        raise Unsupported("nothing is ranked")
    for site in ranked:
        flat = _flattened(reading, site)
        if flat is None:
            continue
        share, call = flat
        raise Violation(
            f"{share:.0%} of the scores are equal after {call.name}, and some of them are kept: their places decide "
            "which",
            where=call.place,
            effect="tokens are kept for where they stand, and those that tie have no gradient to learn from",
            fix=f"rank what {call.name} is given, or let it keep negative numbers apart",
        )


def _flattened(reading: Reading, site: Site) -> tuple[float, Call] | None:
    """The share of scores that tie where the kept ones end, in most samples, and the call that made them equal."""
    score = site.by_sample(site.ranked.detach())
    kept = site.choice.tensors[-1].shape[-1] if site.choice.name == "topk" else None
    if kept is None or score.dim() < 2 or score.shape[-1] <= kept or not score.is_floating_point():
        return None
    last = score.topk(kept, dim=-1).values[..., -1:]
    equal = (score == last) & score.isfinite()
    above = (score > last).sum(-1)
    decided = (equal.sum(-1) > FEW) & (above < kept) & (above + equal.sum(-1) > kept)
    if float(decided.double().mean()) < 0.5:
        return None
    value = float(last[decided][0])
    for call in reading.behind_score(site):
        if call.name.rstrip("_") not in FLAT or not call.tensors or call.tensors[0].numel() != score.numel():
            continue
        made, given = call.tensors[0], _given(call, score)
        if made.requires_grad and _alike(made) > FEW * len(score) and not any(_alike(t) > FEW for t in given):
            return float((score == value).double().mean()), call
    return None


def _given(call: Call, score: Tensor) -> list[Tensor]:
    return [t for t in call.read if t.is_floating_point() and t.numel() == score.numel()]


def _alike(tensor: Tensor) -> int:
    """How many entries have the commonest value."""
    values = tensor.detach().flatten()
    return int(torch.unique(values, return_counts=True)[1].max())
