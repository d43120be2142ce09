"""The soft mask behind D, as its Jacobian has it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.signals import fingerprint
from sdtps_ref.properties.watching.sites import Site

ROWS = 32  # rows of D's Jacobian that are taken as they are; of longer ones, as many random combinations


@dataclass(frozen=True)
class SoftMask:
    """D's backward. kind: softmax over the tokens, elementwise, none, or other; rate: 1 / tau of a softmax.

    probabilities: of each of the first samples, where it is a softmax. own_sign: share of tokens whose own score
    raises their own D. leak: how much of the gradient of one sample's D goes to other samples. at_hard: whether it is
    the Jacobian of a softmax that has D itself as its result, and not the soft mask.
    """

    kind: str
    rate: float = float("nan")
    probabilities: tuple[Tensor, ...] = ()
    own_sign: float = 1.0
    leak: float = 0.0
    at_hard: bool = False


def soft_mask(site: Site) -> SoftMask:
    """Read the soft mask off a few vector products of D with respect to the score."""
    assert site.decision is not None
    decision, score = site.by_sample(site.decision), site.score
    batch = decision.shape[0]
    if decision.dim() < 2 or site.by_sample(score).shape[0] != batch or not score.requires_grad:
        return SoftMask("other")
    entries = decision[0].numel()
    count = min(entries, ROWS)
    combos = torch.eye(entries) if entries <= ROWS else draw("normal", (count, entries), 3)
    rows = []
    for combo in combos:
        cotangent = combo.to(decision).view(1, *decision.shape[1:]).expand_as(decision)
        row = torch.autograd.grad(decision, score, cotangent, retain_graph=True, allow_unused=True)[0]
        if row is None:
            return SoftMask("none")
        rows.append(site.by_sample(row).reshape(batch, -1))
    jacobian = torch.stack(rows, 1).double()  # B count N
    if not jacobian.any():
        return SoftMask("none")
    leak = _leak(site, decision)
    square = jacobian.shape[-1] == entries
    if entries <= ROWS and square:
        diagonal = jacobian.diagonal(dim1=1, dim2=2)
        off = jacobian - torch.diag_embed(diagonal)
        sign = float((diagonal > 0).double().mean())
        if off.abs().amax() <= 1e-9 * diagonal.abs().amax():
            return SoftMask("elementwise", float(diagonal.abs().median()), own_sign=sign, leak=leak)
    else:
        sign = 1.0
    if not square or entries < 3:
        return SoftMask("other", own_sign=sign, leak=leak)
    found = [fingerprint.soft_mask(part, combos) for part in jacobian]
    if all(unexplained < max(1e-3, 8 * torch.finfo(decision.dtype).eps) for _, _, unexplained in found):
        rate = sorted(float(rate) for _, rate, _ in found)[len(found) // 2]
        return SoftMask("softmax", rate, tuple(probabilities for probabilities, _, _ in found), sign, leak)
    at_hard = entries <= ROWS and decision.dim() == 2 and _is_at_hard(jacobian, decision.detach().double())
    return SoftMask("other", own_sign=sign, leak=leak, at_hard=at_hard)


def _is_at_hard(jacobian: Tensor, hard: Tensor) -> bool:
    """Whether B N N is a multiple of diag(h) - h h', h being D (B N)."""
    owed = torch.diag_embed(hard) - hard.unsqueeze(2) * hard.unsqueeze(1)
    scale = float((jacobian * owed).sum() / owed.square().sum().clamp_min(1e-30))
    return bool(owed.any()) and float((jacobian - scale * owed).norm()) < 1e-3 * float(jacobian.norm())


def _leak(site: Site, decision: Tensor) -> float:
    """The share of the gradient of the first sample's D (B ...) that goes to the other samples' scores."""
    if decision.shape[0] < 2:
        return 0.0
    cotangent = torch.zeros_like(decision)
    cotangent[0] = draw("normal", tuple(decision.shape[1:]), 5).to(decision)
    row = torch.autograd.grad(decision, site.score, cotangent, retain_graph=True, allow_unused=True)[0]
    if row is None or not row.any():
        return 0.0
    row = site.by_sample(row)
    received = row.reshape(len(row), -1).norm(dim=-1)
    if int((received > 0).sum()) == 1:
        return 0.0  # of one sample alone, as where samples are dispatched: its rows are in another order
    return float(received[1:].norm() / received.norm())
