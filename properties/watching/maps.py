"""Square attention maps that a hard choice masks: along which axis, and who is read by whom afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.watching.causal import HIDDEN, token_of
from sdtps_ref.properties.watching.forms import CONTRACTIONS, PRODUCTS, SUMS
from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.sites import Site

PASSES_ON = {*SAME_NUMBERS, *PRODUCTS, *SUMS, "softmax", "dropout", "div", "__truediv__", "div_", "exp", "exp_",
             "where", "masked_fill", "masked_fill_", "nan_to_num", "nan_to_num_", "swapaxes", "clamp"}  # fmt: skip
TRIED = 3  # rows
READ = 1e-4  # of the largest part, above which a token is read


@dataclass(frozen=True)
class MaskedRows:
    """A call in which a mask made of a choice hides whole rows of a map. mask: B N, what is not hidden."""

    call: Call
    mask: Tensor
    given: Tensor


@dataclass(frozen=True)
class Contraction:
    """What brings a map and values together; the axes of the tokens of both, and of the samples."""

    call: Call
    result: Tensor
    values: Tensor
    read_by: int
    read: int
    samples: int = 0


def masked_rows(reading: Reading, site: Site) -> Iterator[MaskedRows]:
    """The calls in which a mask that is made of this choice hides rows of a square map, and no columns."""
    root = (site.decision_call or site.choice).number
    for number in reading.graph.descendants(root):
        call = reading.watched.calls[number]
        for given, hidden in _masks(call):
            made = reading.watched.watch.number_of(given)
            if made is not None and reading.graph.depends(made, root) and (kept := _rows(hidden)) is not None:
                yield MaskedRows(call, kept, given)


def _masks(call: Call) -> Iterator[tuple[Tensor, Tensor]]:
    """What a call masks a map (... N N) by, and what that hides: ... N N, True where it does."""
    if call.name in ("scaled_dot_product_attention", "multi_head_attention_forward"):
        own = call.name == "scaled_dot_product_attention"
        mask = call.argument(3 if own else 16, "attn_mask")
        length = call.args[0].shape[-2 if own else 0] if call.args else 0
        keys = call.args[1].shape[-2 if own else 0] if len(call.args) > 1 else 0
        square = isinstance(mask, Tensor) and mask.dim() > 2 and mask.shape[-2] == length == keys > 1
        if square and mask.shape[-1] in (1, length):
            hidden = (~mask if own else mask) if mask.dtype == torch.bool else mask.detach() < HIDDEN
            yield mask, hidden.expand(*hidden.shape[:-1], length)
        return
    if call.name not in (*PRODUCTS, *SUMS, "masked_fill", "masked_fill_", "where") or not call.tensors:
        return
    result = call.tensors[0]
    if result.dim() < 3 or result.shape[-1] != result.shape[-2] or not result.is_floating_point():
        return
    for mask in call.read:
        if mask.dim() < 2 or (mask.dtype == torch.bool) != (call.name not in (*PRODUCTS, *SUMS)):
            continue
        value = mask.detach()
        if call.name in PRODUCTS:
            hidden = value.abs() < 1e-5
        elif call.name in SUMS:
            hidden = value < HIDDEN
            hidden = hidden if bool((value[~hidden].abs() < 1).all()) else torch.zeros_like(hidden)
        else:
            hidden = value if call.name != "where" else ~value
        if hidden.shape[-1] in (1, result.shape[-1]) and hidden.numel() > 1 and hidden.shape[-2] == result.shape[-1]:
            yield mask, hidden.expand(result.shape)


def _rows(hidden: Tensor) -> Tensor | None:
    """B N: the rows that a mask (B ... N N) does not hide, where each is hidden whole or not at all.

    But for its place in itself. None where it is not so, or where no row is hidden or too few are left.
    """
    hidden = hidden.detach()
    count = hidden.shape[-1]
    if count < 4 or hidden.dim() < 3:
        return None
    places = torch.arange(count, device=hidden.device)
    rest = hidden.clone()
    rest[..., places, places] = hidden[..., places, (places + 1) % count]
    if not torch.equal(rest.all(-1), rest.any(-1)):
        return None
    kept = ~rest.all(-1).flatten(1, -2) if rest.dim() > 3 else ~rest.all(-1).unsqueeze(1)
    if not torch.equal(kept, kept[:, :1].expand_as(kept)):
        return None
    kept = kept[:, 0]
    return kept if bool((~kept).any() and (kept.sum(-1) >= 2).all()) else None


def contraction_of(reading: Reading, masked: Call) -> Contraction | None:
    """Where a masked map meets its values; None where that cannot be seen."""
    if masked.name == "scaled_dot_product_attention":
        return Contraction(masked, masked.tensors[0], masked.args[2], -2, -2) if len(masked.args) > 2 else None
    if masked.name == "multi_head_attention_forward":
        return Contraction(masked, masked.tensors[0], masked.args[2], 0, 0, samples=1)
    same = {masked.number}
    for number in reading.graph.descendants(masked.number):
        call = reading.watched.calls[number]
        if not any(n in same for n in call.inputs):
            continue
        if call.name in CONTRACTIONS:
            return _contraction(reading, call, same)
        if call.name in PASSES_ON and call.tensors and call.tensors[0].dim() >= 3:
            same.add(number)
    return None


def _contraction(reading: Reading, call: Call, same: set[int]) -> Contraction | None:
    factors = [t for t in call.read if t.is_floating_point()]
    ours = [i for i, t in enumerate(factors) if reading.watched.watch.number_of(t) in same]
    if len(factors) != 2 or len(ours) != 1 or not call.tensors:
        return None
    values, result = factors[1 - ours[0]], call.tensors[0]
    if call.name != "einsum":
        axis = -2 if ours[0] == 0 else -1
        return Contraction(call, result, values, axis, axis)
    letters = call.args[0].replace(" ", "") if isinstance(call.args[0], str) else ""
    inside, _, out = letters.partition("->")
    parts = inside.split(",")
    if len(parts) != 2 or "." in letters or not out:
        return None
    own, others = parts[ours[0]], parts[1 - ours[0]]
    read = [axis for axis in own if axis in others and axis not in out]
    read_by = [axis for axis in own if axis in out and axis not in others]
    if len(read) != 1 or len(read_by) != 1 or others[0] != out[0]:
        return None
    return Contraction(call, result, values, out.index(read_by[0]), others.index(read[0]))


def reads_the_hidden(met: Contraction, kept: Tensor) -> float | None:
    """The least share, over samples, of tokens that are hidden (B N) which kept ones read; None if that is not seen."""
    count = kept.shape[1]
    if not met.values.requires_grad or not met.result.requires_grad:
        return None
    if met.values.shape[met.read] != count or met.result.shape[met.read_by] != count:
        return None
    if met.result.shape[met.samples] != len(kept) or met.values.shape[met.samples] != len(kept):
        return None
    shares = []
    values = _by_token(met.values.detach(), met.samples, met.read)
    result = _by_token(met.result, met.samples, met.read_by)
    for b in range(len(kept)):
        hidden = ~kept[b]
        alike = values[b][hidden]
        if not hidden.any():
            continue
        if not bool((alike != 0).any()) or (len(alike) > 1 and torch.allclose(alike, alike[:1].expand_as(alike))):
            return None  # what is hidden says nothing
        for row in kept[b].nonzero().flatten().tolist()[:TRIED]:
            mixed = (result[b, row] * draw("normal", tuple(result[b, row].shape), 43).to(result)).sum()
            slope = torch.autograd.grad(mixed, met.values, retain_graph=True, allow_unused=True)[0]
            if slope is None or not bool(slope.isfinite().all()):
                return None
            part = _by_token(slope, met.samples, met.read)[b].double().norm(dim=-1)
            shares.append(float((part[hidden] > READ * part.amax()).double().mean()))
    return min(shares, default=None)


def _by_token(tensor: Tensor, samples: int, tokens: int) -> Tensor:
    """B N ...: samples and tokens first, all else flat."""
    tokens %= tensor.dim()
    samples %= tensor.dim()
    return tensor.movedim((samples, tokens), (0, 1)).flatten(2) if tensor.dim() > 2 else tensor.unsqueeze(-1)


def is_of_the_scored(reading: Reading, site: Site, met: Contraction, count: int) -> bool:
    """Whether the values of a map are made of the very tokens that the choice is among, in their order."""
    made = reading.watched.watch.number_of(met.values)
    ranked = site.ranked if site.ranked.requires_grad else site.score
    own = reading.watched.watch.number_of(ranked)
    if made is None or own is None or ranked.dim() < 2 or not 0 <= count - ranked.shape[1] <= 2:
        return False
    more = count - ranked.shape[1]
    values = _by_token(met.values, met.samples, met.read)
    for number in sorted(set(reading.graph.ancestors(made)) & {own, *reading.graph.ancestors(own)}, reverse=True):
        for tokens in reading.watched.calls[number].tensors:
            if tokens.dim() != 3 or not tokens.requires_grad or len(tokens) != len(ranked) != 0:
                continue
            if not 0 <= count - tokens.shape[1] <= 2:
                continue
            tried = range(0, ranked.shape[1], max(1, ranked.shape[1] // 6))
            pairs = [(token_of(values[0, t + more], tokens, 0, 1), token_of(ranked[0, t], tokens, 0, 1)) for t in tried]
            seen = [one == other for one, other in pairs if one is not None and other is not None]
            if seen:
                return len(seen) >= 2 and sum(seen) > len(seen) / 2
    return False
