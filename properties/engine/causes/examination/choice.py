"""Which tokens are kept: by what they are ranked, how many they are, and whether D says the same as the gather."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.engine.causes.bench import Bench
from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.probe import Probe

EPSILONS = 8
CLOSE = 2.0**-9  # apart for float32, a tie for bfloat16 near one


def values_of_decision(bench: Bench) -> dict[str, Any]:
    """`decision.values`: hard, rounded, soft, not finite or another count, in float32 and float64.

    `decision.values_in_half`: in bfloat16, past 256 tokens.
    """
    found: dict[str, Any] = {}
    cases: tuple[tuple[str, dict[str, Any]], ...] = (
        ("", {}),
        ("", {"dtype": "float32", "num_tokens": 40, "keep": 13}),
        ("_in_half", {"dtype": "bfloat16", "num_tokens": 300, "keep": 100, "scores": "distinct"}),
    )
    for name, changes in cases:
        probe = bench.probe(**changes)
        selection = probe.select()
        decision = selection.decision.detach()
        now = _kind(decision)
        if now == "hard" and selection.selected_tokens.shape[1] != probe.case.keep:
            now = "another K"
        if now == "hard" and not (decision.sum(-1, dtype=torch.float64) == probe.case.keep).all():
            now = "another count"
        if found.get(f"decision.values{name}", "hard") == "hard":
            found[f"decision.values{name}"] = now
    probe = bench.probe(dtype="float32", num_tokens=40, keep=13)
    with torch.autocast(probe.score.device.type, dtype=torch.bfloat16):
        found["decision.values_under_autocast"] = _kind(probe.select().decision.detach())
    return found


def _kind(decision: Tensor) -> str:
    if not decision.isfinite().all():
        return "not finite"
    hard = (decision > 0.5).to(decision)
    apart = (decision - hard).abs().amax()
    if not apart > 0:
        return "hard"
    return "rounded" if apart <= EPSILONS * torch.finfo(decision.dtype).eps else "soft"


def count(bench: Bench) -> dict[str, Any]:
    """`keep.asked`, `keep.gathered` and `keep.marked` by D, for several sizes; `keep.at_the_edges` for 0 and N + 1."""
    asked, gathered, marked = [], [], []
    for num_tokens, keep in ((7, 4), (22, 15), (25, 7), (9, 2)):
        probe = bench.probe(num_tokens=num_tokens, keep=keep)
        selection = probe.select()
        asked.append(keep)
        gathered.append(selection.selected_tokens.shape[1])
        marked.append(sorted({int(n) for n in (selection.decision.detach() > 0.5).sum(-1)}))
    return {"keep.asked": asked, "keep.gathered": gathered, "keep.marked": marked}


def edges(bench: Bench) -> dict[str, Any]:
    """What is made of K = 0 and of K = N + 1: `keep.of_zero`, `keep.above`: a number, or what was raised."""
    found: dict[str, Any] = {}
    for name, keep in (("keep.of_zero", 0), ("keep.above", 8)):
        probe = bench.probe(keep=keep)
        try:
            found[name] = int(probe.select(probe.tokens, probe.score).selected_tokens.shape[1])
        except Exception as error:
            original = getattr(error, "original", error)
            found[name] = type(original).__name__ if str(original).strip() else "wordless"
    return found


def ranking(bench: Bench) -> dict[str, Any]:
    """`ranking.by`: what the kept tokens are the highest of."""
    probe = bench.probe(scores="normal")
    kept = _kept(probe, probe.score)
    score, K = probe.score.detach(), probe.case.keep
    found: dict[str, Any] = {"ranking.set_repeats": True, "ranking.order_repeats": True}
    first = probe.select().selected_tokens.detach()
    for seed in (1, 2, 3):
        again = probe.select(seed=seed)
        found["ranking.set_repeats"] &= torch.equal(again.decision.detach() > 0.5, kept)
        found["ranking.order_repeats"] &= torch.equal(again.selected_tokens.detach(), first)
    for name, by in (
        ("score", score),
        ("minus the score", -score),
        ("the batch's mean score", score.mean(0, keepdim=True).expand_as(score)),
        ("the score's size", score.abs()),
        ("the place", torch.arange(score.shape[1], 0, -1).to(score).expand_as(score)),
        ("the place from the end", torch.arange(score.shape[1]).to(score).expand_as(score)),
    ):
        if torch.equal(kept, _highest(by, K)):
            found["ranking.by"] = name
            break
    else:
        everything = torch.zeros_like(kept).flatten()
        everything[score.flatten().topk(kept.numel() * K // score.shape[1]).indices] = True
        found["ranking.by"] = "all samples together" if torch.equal(kept, everything.view_as(kept)) else "another"
    return found


def ranking_elsewhere(bench: Bench) -> dict[str, Any]:
    """Where the ranking depends on more than order: the scores' place on the axis, the tokens' place, the dtype."""
    found: dict[str, Any] = {}
    probe = bench.probe()
    score, K, N = probe.score.detach(), probe.case.keep, probe.case.num_tokens
    spread = score - score.amin(-1, keepdim=True)
    found["ranking.right_above_zero"] = torch.equal(_kept(probe, spread + 1), _highest(spread, K))
    found["ranking.right_below_zero"] = torch.equal(_kept(probe, spread - 100), _highest(spread, K))
    order = torch.tensor([3, 6, 0, 5, 1, 4, 2][:N], device=score.device)
    moved = _kept(probe, score[:, order])
    found["ranking.follows_tokens"] = torch.equal(moved, _highest(score[:, order], K))
    found["ranking.right_far_apart"] = torch.equal(_kept(probe, 1e4 * score), _highest(score, K))
    evens_first = torch.where(torch.arange(N, device=score.device) % 2 == 0, 1e4, 0.0).to(score) + score
    found["ranking.right_on_one_side"] = torch.equal(_kept(probe, evens_first), _highest(evens_first, K))
    found["ranking.quota_by_place"] = _quota(probe)
    near = 1 + (score - score.mean(-1, keepdim=True)) / 8
    found["ranking.right_when_near"] = torch.equal(_kept(probe, near), _highest(near, K))
    single = bench.probe(dtype="float32")
    close = 1 + CLOSE * single.score.detach() / 8
    found["ranking.right_when_close"] = torch.equal(_kept(single, close), _highest(close, K))
    with torch.autocast(score.device.type, dtype=torch.bfloat16):
        found["ranking.right_under_autocast"] = torch.equal(_kept(single, close), _highest(close, K))
    return found


def _quota(probe: Probe) -> bool:
    """Whether every other place gives the same share of the kept tokens, whatever the scores."""
    drawn = [values.draw("normal", tuple(probe.score.shape), seed).to(probe.score) for seed in range(6)]
    kept = torch.cat([_kept(probe, score) for score in drawn])
    return len(kept[:, ::2].sum(-1).unique()) == 1 and len(kept.int().unique(dim=0)) > 1


def ties(bench: Bench) -> dict[str, Any]:
    """Among equal scores: `ties.marked` by D for the K asked, `ties.aligned`: D marks what is gathered."""
    probe = bench.probe(scores="ties", num_tokens=33, keep=12)
    selection = probe.select()
    marked = selection.decision.detach() > 0.5
    found: dict[str, Any] = {"ties.asked": 12, "ties.marked": sorted({int(n) for n in marked.sum(-1)})}
    for key, case in (("ties.aligned", probe), ("decision.marks_what_is_gathered", bench.probe())):
        selection = case.select()
        places = positions(selection.selected_tokens.detach(), case.tokens)
        marked = selection.decision.detach() > 0.5
        found[key] = places is not None and torch.equal(torch.zeros_like(marked).scatter(1, places, True), marked)
    return found


def positions(selected: Tensor, tokens: Tensor) -> Tensor | None:
    """Where in its sample each selected token stood: B K; None where one is no token of its sample."""
    equal = (selected.unsqueeze(2) == tokens.unsqueeze(1)).all(-1)  # B K N
    return equal.int().argmax(-1) if bool(equal.any(-1).all()) else None


def _kept(probe: Probe, score: Tensor) -> Tensor:
    return probe.select(score=score.detach().clone().requires_grad_()).decision.detach() > 0.5


def _highest(by: Tensor, keep: int) -> Tensor:
    return torch.zeros_like(by, dtype=torch.bool).scatter(1, by.topk(keep, dim=-1).indices, True)


EXAMINATIONS = (values_of_decision, count, edges, ranking, ranking_elsewhere, ties)
