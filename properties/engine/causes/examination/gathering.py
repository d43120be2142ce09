"""The selected tokens, D beside them, and the extra token: of which tokens, and with which gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.engine.causes.bench import Bench, same
from sdtps_ref.properties.engine.causes.examination.choice import positions
from sdtps_ref.properties.kit import values

NEAR = 1e-5


def gathered(bench: Bench) -> dict[str, Any]:
    """`gather.of`: which tokens are selected where D marks the highest; `gather.gradient`: its size at the tokens."""
    probe = bench.probe()
    tokens = probe.tracked_tokens()
    selection = probe.select(tokens)
    selected, K = selection.selected_tokens, probe.case.keep
    marked = selection.decision.detach() > 0.5
    highest = probe.score.detach().topk(K).indices
    owed = tokens.detach().gather(1, highest.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
    places = positions(selected.detach(), tokens.detach())
    if places is not None and torch.equal(torch.zeros_like(marked).scatter(1, places, True), marked):
        of = "the marked"
    elif selected.shape == owed.shape and same(selected, tokens.detach()[:, :K]):
        of = "the first K"
    elif selected.shape == owed.shape and same(selected, tokens.detach().flatten(0, 1)[highest]):
        of = "another sample's"
    else:
        of = "other tokens of the sample" if places is not None else "no tokens"
    found: dict[str, Any] = {"gather.of": of}
    if places is not None:
        cotangent = values.draw("normal", tuple(selected.shape), 5).to(selected)
        reached = values.gradient(selected, tokens, cotangent)
        due = torch.zeros_like(reached).scatter_add(1, places.unsqueeze(-1).expand_as(cotangent), cotangent)
        slope = float((reached * due).sum() / (due * due).sum())
        found["gather.gradient"] = slope if same(reached, slope * due) or slope == 0 else "another"
    return found


def decision_beside(bench: Bench) -> dict[str, Any]:
    """`selected_decision.order`: whether D at the kept positions is in the order of the selected tokens."""
    probe = bench.probe()
    selection = probe.select()
    if selection.selected_decision is None:
        return {}
    places = positions(selection.selected_tokens.detach(), probe.tokens)
    if places is None:
        return {}
    cotangent = values.draw("normal", tuple(places.shape), 5).to(probe.score)
    seen = values.gradient(selection.selected_decision, probe.score, cotangent)
    for name, index in (("of the tokens", places), ("by place", places.sort(-1).values)):
        owed = values.gradient(selection.decision.gather(1, index), probe.score, cotangent)
        if same(seen, owed):
            return {"selected_decision.order": name}
    return {"selected_decision.order": "another" if seen.any() else "no gradient"}


def extra_token(bench: Bench) -> dict[str, Any]:
    """`extra_token.of`: what the extra token is a mean of; its gradients; and what it is where nothing is dropped."""
    probe = bench.probe()
    tokens = probe.tracked_tokens()
    selection = probe.select(tokens)
    extra = selection.extra_token
    if extra is None:
        return {}
    kept = selection.decision.detach() > 0.5
    score = probe.score
    made = _candidates(tokens, score, kept)
    found: dict[str, Any] = {
        "extra_token.of": next((name for name in made if same(extra, made[name], NEAR)), "another")
    }
    if found["extra_token.of"] == "the dropped":
        cotangent = values.draw("normal", tuple(extra.shape), 5).to(extra)
        for name, source in (("tokens", tokens), ("score", score)):
            seen = values.gradient(extra, source, cotangent)
            owed = values.gradient(made["the dropped"], source, cotangent)
            right = "right" if same(seen, owed, NEAR) else "another"
            found[f"extra_token.gradient_to_{name}"] = right if seen.any() else "none"
    nothing = bench.probe(keep=7).select().extra_token
    if nothing is not None:
        at = nothing.detach()
        found["extra_token.of_nothing"] = "zero" if not at.any() else "finite" if at.isfinite().all() else "not finite"
    return found


def _candidates(tokens: Tensor, score: Tensor, kept: Tensor) -> dict[str, Tensor]:
    ninf, dropped = -torch.inf, (~kept).to(tokens)

    def pooled(weights: Tensor) -> Tensor:
        return weights.unsqueeze(1) @ tokens

    even = torch.ones_like(score)
    return {
        "the dropped": pooled(score.masked_fill(kept, ninf).softmax(-1)),
        "the dropped, evenly": pooled(dropped / dropped.sum(-1, keepdim=True)),
        "the dropped, not renormalised": pooled(score.softmax(-1) * dropped),
        "the kept": pooled(score.masked_fill(~kept, ninf).softmax(-1)),
        "the kept, evenly": pooled(kept.to(tokens) / kept.sum(-1, keepdim=True)),
        "all": pooled(score.softmax(-1)),
        "all, evenly": pooled(even / even.shape[-1]),
        "nothing": torch.zeros_like(tokens[:, :1]),
        "the dropped, the lowest most": pooled((-score).masked_fill(kept, ninf).softmax(-1)),
    }


EXAMINATIONS = (gathered, decision_beside, extra_token)
