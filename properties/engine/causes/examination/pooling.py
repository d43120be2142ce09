"""The aggregation's weights, read off pooled tokens, and how they move with D."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.engine.causes.bench import USUAL, Bench, same
from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.probe import Probe

NEAR = 1e-5
KEPT = 5
MANY = {"batch": 4, "num_tokens": 128, "keep": 64, "dim": 512, "slots": 25}
LIGHT = 1e-250  # a cotangent so small that the gradient of a mask as steep as float64 goes is finite
LARGEST = sys.float_info.max
LARGE = {"scores": "normal", "training": False}


def forward(bench: Bench) -> dict[str, Any]:
    """`weights.sums` and `weights.columns`, with D of ones, without D, with zeros in D; and what else enters them."""
    probe = bench.probe(**LARGE)
    tokens = probe.tokens[:, :KEPT]
    pooled = probe.aggregate(tokens, None)
    if pooled.shape != (len(tokens), probe.case.slots, tokens.shape[-1]):
        turned = pooled.shape == (len(tokens), tokens.shape[-1], probe.case.slots)
        return {"pooled.shape": "transposed" if turned else "another"}
    plain, left = weights_behind(pooled, tokens)
    found: dict[str, Any] = {"pooled.shape": "right", "weights.linear": left < NEAR}
    if not left < NEAR:
        return found
    sums, columns, ones = plain.sum(-1), plain.sum(1), torch.ones_like(tokens[:, :, 0])
    found["weights.sums"] = [float(sums.amin()), float(sums.amax())]
    found["weights.columns_are_one"] = same(columns, torch.ones_like(columns), NEAR)
    fewer, _ = weights_behind(probe.aggregate(tokens[:, :3], None), tokens[:, :3])
    found["weights.each_by_itself"] = same(fewer, plain[:, :, :3], NEAR)
    found["weights.sum_of_three"] = float(fewer.sum(-1).mean())
    found |= _logits(probe, tokens, plain)
    masked, left = weights_behind(probe.aggregate(tokens, ones), tokens)
    found["weights.same_with_ones"] = same(masked, plain, NEAR)
    if not found["weights.same_with_ones"] and (masked > 0).all() and (plain > 0).all():
        found["mask.adds_by_place"] = _by_place(masked.log() - plain.log())
        found["mask.multiplies_logits"] = _slope(plain.log(), masked.log())
    return found | _with_zeros(probe, tokens, plain)


def weights_behind(pooled: Tensor, tokens: Tensor) -> tuple[Tensor, float]:
    """W with pooled = W @ tokens, whatever its rows sum to, and what that leaves unexplained."""
    solution = torch.linalg.lstsq(tokens.mT.detach(), pooled.mT.detach()).solution.mT  # B M K
    left = (solution @ tokens - pooled).abs().amax() / max(float(pooled.detach().abs().amax()), 1e-300)
    return solution, float(left)


def _logits(probe: Probe, tokens: Tensor, plain: Tensor) -> dict[str, Any]:
    """Whether a token's logits depend on its place, on other tokens, on other samples."""
    if not (plain > 0).all():
        return {}
    log = plain.log()

    def ratios(weights: Tensor) -> Tensor:
        return weights[:, :, 1:] - weights[:, :, :1]

    order = torch.tensor([2, 0, 4, 1, 3], device=tokens.device)
    moved, _ = weights_behind(probe.aggregate(tokens[:, order], None), tokens[:, order])
    turned = moved.clamp(min=1e-300).log() - log[:, :, order]
    found: dict[str, Any] = {"logits.follow_tokens": same(ratios(turned) + 1, torch.ones_like(ratios(turned)), NEAR)}
    found["logits.add_by_place"] = _by_place(turned)
    other = tokens.clone()
    other[:, -1] = values.draw("normal", tuple(other[:, -1].shape), 9).to(other)
    seen, _ = weights_behind(probe.aggregate(other, None), other)
    change = ratios(seen.clamp(min=1e-300).log())[..., :-1] - ratios(log)[..., :-1]
    found["logits.of_own_token"] = bool(change.abs().amax() < NEAR)
    alone, _ = weights_behind(probe.aggregate(tokens[:1], None), tokens[:1])
    found["weights.of_own_sample"] = same(alone, plain[:1], NEAR)
    return found


def _by_place(change: Tensor) -> bool:
    """Whether the logits of all samples and slots changed alike: by nothing but their place in the row."""
    change = change - change[:, :, :1]
    return bool(change.abs().amax() > NEAR) and same(change, change[:1, :1].expand_as(change), NEAR)


def _slope(one: Tensor, other: Tensor) -> float | None:
    one, other = one - one.mean(-1, keepdim=True), other - other.mean(-1, keepdim=True)
    slope = float((one * other).sum() / (one * one).sum())
    return slope if same(other, slope * one, NEAR) else None


def _with_zeros(probe: Probe, tokens: Tensor, plain: Tensor) -> dict[str, Any]:
    """`mask.leaves`: what D = 0 leaves of a token's weight."""
    decision = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0]).to(tokens).expand(len(tokens), -1).contiguous()
    kept = decision[0] > 0.5
    masked, left = weights_behind(probe.aggregate(tokens, decision), tokens)
    if not left < NEAR:
        return {"mask.leaves": "other than weights"}
    owed = plain * decision.unsqueeze(1)
    leaked = float(masked[:, :, ~kept].abs().amax())
    if same(masked, owed / owed.sum(-1, keepdim=True), 1e-4):
        return {"mask.leaves": "nothing"}
    if same(masked, owed, NEAR):
        return {"mask.leaves": "less than one in all"}
    if same(masked, plain, NEAR):
        return {"mask.leaves": "everything"}
    if leaked < NEAR:
        return {"mask.leaves": "other weights for the kept"}
    if masked[:, :, kept].abs().amax() < NEAR:
        return {"mask.leaves": "the dropped alone"}
    dropped = masked[:, :, ~kept]
    even = same(dropped, dropped[:, :, :1].expand_as(dropped), NEAR)
    return {"mask.leaves": "the dropped as if their logits were zero" if even else "the dropped, with less weight"}


def gradient_of_decision(bench: Bench) -> dict[str, Any]:
    """`mask.form`: along what the pooled tokens move with D at D = 1, and with which gain, by slot and by token."""
    probe = bench.probe(**LARGE)
    tokens = probe.tokens[:, :KEPT]
    ones = torch.ones_like(tokens[:, :, 0]).requires_grad_()
    pooled = probe.aggregate(tokens, ones)
    weights, left = weights_behind(pooled, tokens)
    if not left < NEAR:
        return {}
    directions = values.draw("normal", tuple(pooled.shape), 3).to(pooled)
    seen, light = torch.full_like(directions, torch.nan), 1.0
    for light in (1.0, LIGHT):
        rows = [values.gradient(pooled[:, m], ones, light * directions[:, m]) for m in range(probe.case.slots)]
        seen = torch.stack(rows, 1)  # B M K
        if seen.abs().amax() < 1e150:  # or its squares are no numbers
            break
    if not seen.any():
        return {"mask.form": "none", "decision.reaches_pooled": bool(pooled.requires_grad)}
    if not seen.isfinite().all():
        return {"mask.form": "not finite"}
    along = torch.einsum("bmc,bkc->bmk", directions, tokens)
    out = (directions * pooled.detach()).sum(-1, keepdim=True)  # B M 1
    own = weights * along
    owed = own - weights * out
    gains = (seen * owed).sum(-1) / (owed * owed).sum(-1)
    found: dict[str, Any] = {"mask.gains": gains.mean(0).tolist()}
    for name, due in (
        ("before the softmax", owed),
        ("on the weights", own),
        ("on the pooled tokens", out.expand_as(owed)),
        ("before the softmax and on the pooled tokens", owed + out / KEPT),
    ):
        scale = float((seen * due).sum() / (due * due).sum())
        if same(seen, scale * due, 1e-4):
            return found | {"mask.form": name, "mask.gain": max(min(scale / light, LARGEST), -LARGEST)}
    if same(seen, gains.unsqueeze(-1) * owed, 1e-4) and same(gains, gains[:1].expand_as(gains), 1e-4):
        return found | {"mask.form": "before the softmax, slot by slot"}
    by_token = (seen / owed)[:1, :1]
    if same(seen, by_token * owed, 1e-4):
        return found | {"mask.form": "before the softmax, by place"}
    return found | {"mask.form": "another"}


def samples_of_mask(bench: Bench) -> dict[str, Any]:
    """`mask.of_own_sample`: whether a sample's pooled tokens move with its own D alone, of those of the batch."""
    probe = bench.probe(**LARGE)
    tokens = probe.tokens[:, :KEPT]
    ones = torch.ones_like(tokens[:, :, 0]).requires_grad_()
    pooled = probe.aggregate(tokens, ones)
    seen = values.gradient(pooled[0], ones, values.draw("normal", tuple(pooled[0].shape), 3).to(pooled))
    return {"mask.of_own_sample": bool(seen[1:].abs().amax() <= NEAR * seen.abs().amax())}


def one_sample(bench: Bench) -> dict[str, Any]:
    """`mask.of_one_sample`: whether a sample alone, with zeros in D, is pooled as it is in a batch, as M tokens."""
    probe = bench.probe(**{**LARGE, "keep": 2, "num_tokens": 7})
    tokens = probe.tokens[:, : probe.case.slots]  # as many tokens as slots: a mask along the wrong axis fits too
    decision = torch.ones_like(tokens[:, :, 0])
    decision[:, 0] = 0
    pooled = probe.aggregate(tokens, decision)
    try:
        alone = probe.aggregate(tokens[:1], decision[:1])
    except Exception:
        return {"mask.of_one_sample": "raises"}
    return {"mask.of_one_sample": "right" if same(alone, pooled[:1]) else "wrong"}


def gradient_with_zeros(bench: Bench) -> dict[str, Any]:
    """With zeros in D: `mask.gradient_at_zeros`, to D, and whether dropped tokens receive any."""
    probe = bench.probe(**LARGE)
    tokens = probe.tokens[:, :KEPT].detach().clone().requires_grad_()
    decision = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0]).to(tokens).repeat(len(tokens), 1).requires_grad_()
    pooled = probe.aggregate(tokens, decision)
    cotangent = values.draw("normal", tuple(pooled.shape), 3).to(pooled)
    to_decision = values.gradient(pooled, decision, cotangent)
    to_tokens = values.gradient(pooled, tokens, cotangent)
    finite = bool(to_decision.isfinite().all() and to_tokens.isfinite().all())
    dropped = decision.detach() < 0.5
    return {
        "mask.gradient_at_zeros": "not finite" if not finite else "some" if to_decision[~dropped].any() else "none",
        "mask.dropped_tokens_receive": bool(to_tokens[dropped].abs().amax() > NEAR * to_tokens.abs().amax()),
    }


def extremes(bench: Bench) -> dict[str, Any]:
    """In float16, with D of ones: `pooled.finite_in_half`; with nothing kept: `pooled.of_nothing`."""
    found = {}
    for name, entry in (("pooled.finite_in_half", 1.0), ("pooled.of_nothing", 0.0)):
        dtype = "float16" if entry else USUAL.dtype
        finite = []
        for sizes in (MANY, {}) if entry else ({},):
            probe = bench.probe(dtype=dtype, **{**LARGE, **sizes})
            tokens = probe.tokens[:, : probe.case.keep]
            ones = torch.full_like(tokens[:, :, 0], entry)
            finite.append(bool(probe.aggregate(tokens, ones).isfinite().all()))
        found[name] = all(finite) if entry else ("finite" if all(finite) else "not finite")
    return found


def under_autocast(bench: Bench) -> dict[str, Any]:
    """`pooled.under_autocast`: right, or what was raised."""
    probe = bench.probe(dtype="float32", **LARGE)
    tokens = probe.tokens[:, :KEPT]
    probe.aggregate(tokens, torch.ones_like(tokens[:, :, 0]))
    try:
        with torch.autocast(tokens.device.type, dtype=torch.bfloat16):
            probe.aggregate(tokens, torch.ones_like(tokens[:, :, 0]))
    except Exception as error:
        original = getattr(error, "original", error)
        return {"pooled.under_autocast": f"raised {type(original).__name__}"}
    return {"pooled.under_autocast": "right"}


EXAMINATIONS = (
    under_autocast,
    forward,
    gradient_of_decision,
    samples_of_mask,
    one_sample,
    gradient_with_zeros,
    extremes,
)
