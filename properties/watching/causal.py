"""Causal attention, however it is written: where it is, and which token stands in each of its rows."""

from __future__ import annotations

import torch
from torch import Tensor

from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.watching.record import Call

HIDDEN = -999.0  # a logit below it is masked
LEAST = 3  # rows, below which an order says little
TRIED = 16  # rows
CLEARLY = 3.0  # times as much as any other token's part


def causal_rows(call: Call) -> Tensor | None:
    """B L ..., what stands in the rows of a causal self-attention; None of any other call."""
    if call.name == "scaled_dot_product_attention":
        query, key = call.argument(0, "query"), call.argument(1, "key")
        mask = call.argument(3, "attn_mask")
        hidden = None if mask is None else ~mask if mask.dtype == torch.bool else mask.detach() < HIDDEN
        causal = bool(call.argument(5, "is_causal")) or is_triangular(hidden)
        return _together(query.movedim(-2, 1), key.movedim(-2, 1)) if causal and query.dim() > 2 else None
    if call.name == "multi_head_attention_forward":
        query, key, mask = call.args[0], call.args[1], call.argument(16, "attn_mask")
        hidden = None if mask is None else mask if mask.dtype == torch.bool else mask.detach() < HIDDEN
        return _together(query.transpose(0, 1), key.transpose(0, 1)) if is_triangular(hidden) else None
    if call.name == "softmax" and call.read and call.read[0].dim() > 2:
        logits = call.read[0]
        if call.argument(1, "dim") in (-1, logits.dim() - 1) and is_triangular(logits.detach() < HIDDEN):
            return logits.diagonal(dim1=-2, dim2=-1).movedim(-1, 1)
    return None


def is_triangular(hidden: Tensor | None) -> bool:
    """Whether a mask (... L L) lets each row read those on one side of it and itself, and none on the other."""
    if hidden is None or hidden.dim() < 2 or hidden.shape[-1] != hidden.shape[-2] or hidden.shape[-1] < LEAST:
        return False
    later = torch.ones(hidden.shape[-2:], dtype=torch.bool, device=hidden.device).triu(1)
    for beyond in (later, later.T):
        if hidden[..., beyond].all() and not bool(hidden[..., ~beyond].float().mean() > 0.5):
            return True
    return False


def _together(query: Tensor, key: Tensor) -> Tensor | None:
    if query.shape[:2] != key.shape[:2]:
        return None
    return torch.cat([query.flatten(2), key.flatten(2)], dim=-1)


def tokens_of_rows(rows: Tensor, tokens: Tensor, sample: int) -> list[int]:
    """Which of the tokens (B N C) some rows (B L ...) of a sample are made of, in the order of the rows.

    Rows that are not clearly made of one, as that of a class token, are left out.
    """
    found = []
    each = rows.shape[0] // tokens.shape[0]  # heads may lie along the first axis
    own = rows[sample * each : (sample + 1) * each].transpose(0, 1).flatten(1)
    for row in own[:: max(1, len(own) // TRIED)]:
        token = token_of(row, tokens, sample)
        if token is not None:
            found.append(token)
    return found


def token_of(numbers: Tensor, tokens: Tensor, sample: int, clearly: float = CLEARLY) -> int | None:
    """The token (B N C) of a sample that numbers depend on, clearly more than on any other."""
    if not numbers.requires_grad:
        return None
    mixed = (numbers * draw("normal", tuple(numbers.shape), 41).to(numbers)).sum()
    slope = torch.autograd.grad(mixed, tokens, retain_graph=True, allow_unused=True)[0]
    if slope is None or slope.shape[1] < 2:
        return None
    parts = slope[sample].detach().double().flatten(1).norm(dim=-1)
    first, second = parts.topk(2).values.tolist()
    return int(parts.argmax()) if first > 0 and first >= clearly * second else None
