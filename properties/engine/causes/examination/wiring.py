"""The pipeline: what of D arrives in the aggregation, in which order, at which temperature, and what else arrives."""

from __future__ import annotations

from statistics import median
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.engine.causes.bench import Bench, same
from sdtps_ref.properties.engine.causes.examination.pooling import weights_behind
from sdtps_ref.properties.kit import values
from sdtps_ref.properties.signals import fingerprint
from sdtps_ref.properties.watching.graph import Graph
from sdtps_ref.properties.watching.record import watch

NEAR = 1e-5
EVAL = {"training": False}


def arrival(bench: Bench) -> dict[str, Any]:
    """`wiring.gradient`: none, not finite or some; `wiring.gain`, and in which order D meets its tokens."""
    probe = bench.probe()
    pooled = probe.pool()
    seen = bench.pooled_jacobian  # B M*C N
    if not seen.isfinite().all():
        return {"wiring.gradient": "not finite"}
    if not seen.any():
        return {"wiring.gradient": "none", "wiring.score_flows": _flows(bench)}
    found: dict[str, Any] = {"wiring.gradient": "some"}
    kept = probe.score.detach().topk(probe.case.keep).indices  # by score
    tokens = probe.tokens.gather(1, kept.unsqueeze(-1).expand(-1, -1, probe.case.dim))
    weights, left = weights_behind(pooled, tokens)
    found["wiring.pools_the_highest"] = left < NEAR
    sums = weights.sum(-1)
    found["wiring.sums_to_one"] = same(sums, torch.ones_like(sums), NEAR)
    if not left < NEAR:
        return found
    by_place = kept.sort(-1).values
    orders = {"of its token": kept, "by place": by_place, "by score where tokens are by place": None}
    ranks = kept.argsort(-1).argsort(-1)
    for name, meets in orders.items():
        meets = by_place.gather(1, ranks.argsort(-1).argsort(-1)) if meets is None else meets
        if name == "by score where tokens are by place":
            meets = kept.gather(1, ranks)
        fits = [_fit(seen[b], weights[b], tokens[b], pooled[b].detach(), meets[b]) for b in range(len(seen))]
        if max(unexplained for _, unexplained in fits) < 1e-4:
            found["wiring.order"] = name
            found["wiring.gain"] = median(rate for rate, _ in fits) * probe.case.tau
            break
    else:
        found["wiring.order"] = "another"
    alike = probe.tokens[:, :1].expand_as(probe.tokens).contiguous()
    cotangent = values.draw("normal", tuple(pooled.shape), 5).to(pooled)
    elsewhere = values.gradient(probe.pool(alike), probe.score, cotangent)
    found["wiring.acts_elsewhere"] = bool(elsewhere.abs().amax() > 1e-9 * seen.abs().amax())
    return found


def _fit(seen: Tensor, weights: Tensor, tokens: Tensor, pooled: Tensor, meets: Tensor) -> tuple[float, float]:
    """How fast the pooled tokens move along a soft mask behind D in this order, and what that leaves unexplained."""
    lever = torch.zeros_like(seen)
    moved = weights[:, None, :] * (tokens.mT[None] - pooled[:, :, None])  # M C K
    lever[:, meets] = moved.reshape(len(seen), -1)
    _, rate, unexplained = fingerprint.soft_mask(seen, lever)
    return float(rate), float(unexplained)


def _flows(bench: Bench) -> bool:
    """Whether numbers, and not only positions, go from the score to the pooled tokens, with a gradient or without."""
    probe = bench.probe()
    built = probe.build("pipeline")
    watched = watch(lambda: built(probe.tokens, probe.score))
    graph, flowing = Graph(watched.calls), set[int]()
    for call in watched.calls:
        floats = [t for t in call.tensors if t.is_floating_point()]
        own = any(t is probe.score for t in call.outside) or any(n in flowing for n in call.inputs)
        if own and floats and call.name not in ("zeros_like", "ones_like", "empty_like", "rand_like", "size"):
            flowing.add(call.number)
    ends = {watched.watch.number_of(t) for t in watched.outputs} - {None}
    return any(graph.depends(end, n) and end in flowing for end in ends for n in flowing if end is not None)


def temperature(bench: Bench) -> dict[str, Any]:
    """`wiring.follows_temperature`: tau on the score and 2 tau on twice the score give the same soft mask."""
    one = bench.probe(training=False)
    two = bench.probe(training=False, tau=2 * one.case.tau)
    if two.case.tau == one.case.tau:
        return {}
    cotangent = values.draw("normal", tuple(one.pool().shape), 5).to(one.score)
    doubled = (2 * one.score).detach().requires_grad_()
    seen = values.gradient(one.pool(), one.score, cotangent)
    other = values.gradient(two.pool(one.tokens, doubled), doubled, cotangent)
    same_score = values.gradient(two.pool(one.tokens, one.score), one.score, cotangent)
    return {"wiring.follows_temperature": same(2 * other, seen), "wiring.ignores_temperature": same(same_score, seen)}


def gains(bench: Bench) -> dict[str, Any]:
    """`wiring.aggregator_gain`: what D moves the aggregation by when it is handed over by hand."""
    probe = bench.probe(training=False, scores="normal")
    tokens = probe.tokens[:, :4]
    ones = torch.ones_like(tokens[:, :, 0]).requires_grad_()
    pooled = probe.aggregate(tokens, ones)
    weights, _ = weights_behind(pooled, tokens)
    cotangent = values.draw("normal", tuple(pooled.shape), 5).to(pooled)
    out = (cotangent * pooled.detach()).sum(-1, keepdim=True)
    owed = (weights * (torch.einsum("bmc,bkc->bmk", cotangent, tokens) - out)).sum(1)
    seen = values.gradient(pooled, ones, cotangent)
    return {"wiring.aggregator_gain": float((seen * owed).sum() / (owed * owed).sum())}


def forward(bench: Bench) -> dict[str, Any]:
    """Whether the pooled tokens follow the order of the score alone, and the tokens wherever they stand."""
    probe = bench.probe(training=False)
    pooled = probe.pool()
    score = probe.score.detach()
    order = torch.tensor([3, 6, 0, 5, 1, 4, 2], device=score.device)
    moved = probe.pool(probe.tokens[:, order].contiguous(), score[:, order].contiguous())
    stretched = probe.pool(probe.tokens, (3 * score + 1).contiguous())
    alone = probe.pool(probe.tokens[:1].contiguous(), score[:1].contiguous())
    return {
        "wiring.follows_tokens": same(moved, pooled),
        "wiring.order_of_scores_is_all": same(stretched, pooled),
        "wiring.of_own_sample": same(alone, pooled[:1]),
        "wiring.forward_repeats": same(probe.pool(), pooled),
    }


EXAMINATIONS = (arrival, temperature, forward)  # and `gains`, which needs the aggregator too
