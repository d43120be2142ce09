"""What D's gradient says: which function of the score it is a gradient of, at which temperature, of which samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.engine.causes.bench import Bench, full_jacobian, same
from sdtps_ref.properties.kit import jacobians, values

FITS = 1e-4  # relative; a softmax in float32 is explained to 1e-6, what is none, to 0.1 or worse


def form(bench: Bench) -> dict[str, Any]:
    """`soft_mask.form`, of every sample on its own score; `soft_mask.samples`: how it depends on the others'."""
    probe = bench.probe()
    whole = bench.decision_jacobian
    B = probe.case.batch
    own = torch.stack([whole[b, :, b] for b in range(B)])  # B N N
    found: dict[str, Any] = {"soft_mask.samples": _samples(whole, own)}
    kept = probe.select().decision.detach() > 0.5
    found |= _form(own, kept)
    if not whole.isfinite().all():
        return found
    flat = whole.reshape(B * own.shape[1], -1)
    score = probe.score.detach().flatten()
    size = float(flat.abs().amax() * score.abs().amax()) or 1.0
    found["soft_mask.scale_free"] = bool((flat @ score).abs().amax() < FITS * size)
    found["soft_mask.shift_free"] = bool(own.sum(-1).abs().amax() < FITS * float(own.abs().amax() or 1.0))
    return found


def _samples(whole: Tensor, own: Tensor) -> str:
    B = whole.shape[0]
    foreign = whole.clone()
    for b in range(B):
        foreign[b, :, b] = 0
    scale = float(whole.abs().amax())
    if not foreign.abs().amax() > FITS * scale:
        return "independent"
    if all(same(whole[0], whole[b]) for b in range(1, B)):
        return "all alike"
    beside = foreign.diagonal(dim1=1, dim2=3)  # B B N: of each token to the same place in other samples
    if not (foreign - torch.diag_embed(beside, dim1=1, dim2=3)).abs().amax() > FITS * scale:
        return "compete by place"
    return "mixed"


def _form(own: Tensor, kept: Tensor) -> dict[str, Any]:
    if not own.isfinite().all():
        return {"soft_mask.form": "not finite"}
    scale = float(own.abs().amax())
    if not scale > 0:
        return {"soft_mask.form": "none"}
    dead = ~(own.abs().amax(1) > FITS * scale)  # B N: to which scores nothing leads
    if dead.any() and not kept.all() and torch.equal(dead, ~kept):
        return {"soft_mask.form": "of the kept"}
    diagonal = own.diagonal(dim1=1, dim2=2)
    sign = -1.0 if float(diagonal.sum()) < 0 else 1.0
    own, diagonal = sign * own, sign * diagonal
    if not (own - torch.diag_embed(diagonal)).abs().amax() > FITS * scale:
        return {"soft_mask.form": "each by itself", "soft_mask.sign": sign, "soft_mask.sums": diagonal.sum(-1).tolist()}
    log_p, rate = jacobians.softmax_behind(own)
    owed = jacobians.softmax_jacobian(log_p, rate)
    if same(own, owed, FITS):
        return {"soft_mask.form": "softmax", "soft_mask.sign": sign, "soft_mask.rate": float(rate.median())}
    apart = own - torch.diag_embed(diagonal)
    owed_apart = owed - torch.diag_embed(owed.diagonal(dim1=1, dim2=2))
    excess = own.sum(-1) / log_p.exp()
    if same(apart, owed_apart, FITS) and (excess > 0).all() and same(excess, excess[:, :1].expand_as(excess), FITS):
        return {"soft_mask.form": "softmax with a sink", "soft_mask.sign": sign}
    return {"soft_mask.form": "another", "soft_mask.sign": sign}


def temperature(bench: Bench) -> dict[str, Any]:
    """`temperature.found` and `soft_mask.factor` at two temperatures and two K, where D's gradient is a softmax's."""
    found: dict[str, Any] = {}
    given, read, factors = [], [], []
    for tau, keep in ((0.5, 4), (2.0, 4), (2.0, 5)):
        probe = bench.probe(tau=tau, keep=keep)
        score = probe.score
        step = values.draw("normal", tuple(score.shape), 3).to(score)
        moved = (score + step).detach().requires_grad_()
        first = jacobians.jacobian(probe.select().decision, score)
        second = jacobians.jacobian(probe.select(score=moved).decision, moved)
        sign = -1.0 if float(first.diagonal(dim1=1, dim2=2).sum()) < 0 else 1.0
        tau_found, factor = jacobians.temperature_behind(sign * first, sign * second, step)
        given.append(probe.case.tau)
        read.append(tau_found)
        factors.append(factor)
    found["temperature.given"], found["temperature.found"] = given, read
    found["soft_mask.factor"], found["soft_mask.kept"] = factors, [4, 4, 5]
    return found


def extreme_temperatures(bench: Bench) -> dict[str, Any]:
    """`temperature.extremes`: pairs of a temperature that was given, low or high, and what D's gradient has."""
    found = []
    for tau in (0.05, 20.0):
        probe = bench.probe(tau=tau, training=False)
        jacobian = jacobians.jacobian(probe.select().decision, probe.score)
        rate = jacobians.softmax_behind(jacobian)[1].median()
        found.append([probe.case.tau, float(1 / rate)])
    return {"temperature.extremes": found}


def columns(bench: Bench) -> dict[str, Any]:
    """`soft_mask.columns`, of scores above zero: by what each score's own column of a softmax's Jacobian is scaled."""
    probe = bench.probe()
    score = probe.score.detach().sigmoid().requires_grad_()
    own = jacobians.jacobian(probe.select(score=score).decision, score)  # B N N
    apart = own - torch.diag_embed(own.diagonal(dim1=1, dim2=2))
    if not (apart[:, 0, 1:] < 0).all() or not own.isfinite().all():
        return {}
    # Beside the diagonal it is -p_e p_n c_n: each column is p, and what is left of its size is the column's own factor.
    p = torch.cat([apart[:, :1, 2], apart[:, 1:2, 2], apart[:, 2:, 1] * (apart[:, :1, 2] / apart[:, :1, 1])], 1)
    p = p / p.sum(-1, keepdim=True)
    factor = own.diagonal(dim1=1, dim2=2) / (p * (1 - p))
    owed = (torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)) * factor.unsqueeze(1)
    if not same(own, owed, FITS):
        return {"soft_mask.columns": "another"}
    for name, by in (("as they are", torch.ones_like(score)), ("divided by the score", score.detach())):
        if same(factor * by, (factor * by)[:, :1].expand_as(factor), FITS):
            return {"soft_mask.columns": name}
    return {"soft_mask.columns": "each by its own"}


def backward(bench: Bench) -> dict[str, Any]:
    """Whether the gradient is handed on as it comes: `gradient.linear`, and `gradient.repeats` in a second pass.

    `gradient.repeats_seeded`: in a second one that begins with the generator where the first one began.
    """
    probe = bench.probe()
    decision = probe.select().decision
    cotangent = values.draw("normal", tuple(decision.shape), 5).to(decision)
    first = values.gradient(decision, probe.score, cotangent)
    again = values.gradient(decision, probe.score, cotangent)
    larger = values.gradient(decision, probe.score, 1000 * cotangent)
    fresh = bench.probe()
    decision = fresh.select().decision
    seeded = []
    for _ in range(2):
        torch.manual_seed(0)
        seeded.append(values.gradient(decision, fresh.score, cotangent))
    return {
        "gradient.repeats": same(again, first),
        "gradient.repeats_seeded": same(seeded[1], seeded[0]),
        "gradient.linear": same(larger, 1000 * first),
        "decision.requires_grad": bool(decision.requires_grad),
    }


def even_scores(bench: Bench) -> dict[str, Any]:
    """Whether D's gradient is finite where all scores of a row are the same: `soft_mask.finite_on_even_scores`."""
    probe = bench.probe(scores="constant")
    seen = full_jacobian(probe.select().decision, probe.score)
    return {"soft_mask.finite_on_even_scores": bool(seen.isfinite().all())}


def large_scores(bench: Bench) -> dict[str, Any]:
    """Whether D's gradient is finite where scores are in the thousands: `soft_mask.finite_on_large_scores`."""
    probe = bench.probe(scores="huge", dtype="float32")
    decision = probe.select().decision
    reached = values.gradient(decision, probe.score, torch.ones_like(decision).cumsum(-1))
    return {"soft_mask.finite_on_large_scores": bool(decision.isfinite().all() and reached.isfinite().all())}


EXAMINATIONS = (form, temperature, extreme_temperatures, columns, backward, even_scores, large_scores)
