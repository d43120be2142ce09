"""What D does to the tokens that it drops, in the user's own call."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided
from sdtps_ref.properties.watching.alignment import PICKS
from sdtps_ref.properties.watching.choosing import is_hard
from sdtps_ref.properties.watching.forms import PRODUCTS, SUMS, meeting_of
from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.sites import Site

MASKED = ("scaled_dot_product_attention", "multi_head_attention_forward")
SCALES = ("div", "__truediv__", "mul", "__mul__", "__rmul__")


@law(needs="call", depends="call.decision_is_hard", domain=CALL)
def dropped_logits_are_masked(probe: Probe) -> None:
    """A D that goes into the logits of a softmax takes dropped tokens out: as log D, or minus infinity where D is 0.

    Why: a mask of zeros and ones that is added to the logits leaves a dropped token with 1/e of its weight, and one
    that multiplies them with that of a logit of 0. The shape is right, the loss is finite, and nothing is selected.
    Breaks when: a floating `attn_mask` is meant as "may be read", which `scaled_dot_product_attention` adds as it is;
    or `logits * D` stands for a mask.
    Remedy: `attn_mask=D.log()`, or `logits.masked_fill(D == 0, -inf) + D.clamp(min=0.5).log()`.
    """
    reading, sites = decided(probe)
    for site in sites:
        for number in reading.graph.descendants(site.decision_call.number):  # type: ignore[union-attr]
            call = reading.watched.calls[number]
            if _adds_ones(reading, site, call):
                _refuse(
                    call, f"D is added to the logits as 0 and 1: a dropped token keeps {1 / math.e:.0%} of its weight"
                )
            if _multiplies_logits(reading, site, call):
                _refuse(call, "D multiplies the logits: a dropped token keeps the weight of a logit of 0")


def _refuse(call: Call, what: str) -> None:
    raise Violation(
        what,
        where=call.place,
        effect="dropped tokens are read like kept ones: nothing is selected",
        fix="hand over D.log(): 0 where a token is kept, minus infinity where it is dropped",
    )


def _adds_ones(reading: Reading, site: Site, call: Call) -> bool:
    if call.name in MASKED:
        place = 3 if call.name == "scaled_dot_product_attention" else len(call.args)
        mask = call.kwargs.get("attn_mask", call.args[place] if len(call.args) > place else None)
        return isinstance(mask, Tensor) and _is_decision(reading, site, mask)
    if call.name not in SUMS or len(call.read) != 2:
        return False
    return any(_is_decision(reading, site, t) for t in call.read) and _goes_into_softmax(reading, call) is not None


def _multiplies_logits(reading: Reading, site: Site, call: Call) -> bool:
    if call.name not in PRODUCTS or len(call.read) != 2 or not any(_is_decision(reading, site, t) for t in call.read):
        return False
    softmax = _goes_into_softmax(reading, call)
    if softmax is None:
        return False
    later = (reading.watched.calls[n] for n in reading.graph.descendants(softmax.number))
    return not any(each.name in PRODUCTS and any(_is_decision(reading, site, t) for t in each.read) for each in later)


def _is_decision(reading: Reading, site: Site, tensor: Tensor) -> bool:
    """Whether it is D of all tokens in another shape: zeros and ones, with its gradient."""
    number = reading.watched.watch.number_of(tensor)
    assert site.decision_call is not None
    if number is None or not tensor.is_floating_point() or not tensor.requires_grad or not is_hard(tensor):
        return False
    return reading.graph.depends(number, site.decision_call.number)


def _goes_into_softmax(reading: Reading, call: Call) -> Call | None:
    """The softmax of what a call returned, as it is or scaled by a number."""
    alone = {call.number}
    for number in reading.graph.descendants(call.number):
        each = reading.watched.calls[number]
        if not any(n in alone for n in each.inputs):
            continue
        if each.name == "softmax":
            return each
        if each.name in SAME_NUMBERS or (each.name in SCALES and len(each.read) == 1):
            alone.add(number)
    return None


@law(needs="call", depends="call.decision_is_hard", domain=CALL)
def raised_decision_raises_its_logit(probe: Probe) -> None:
    """A D that goes into the logits of its kept tokens is added to them: raising D[n] raises logit n.

    Why: D is one wherever a token is kept, so that a factor of D changes nothing in the forward pass, as log D does
    not. But its gradient is the token's logit times what log D would hand on: where the logit is negative, a token that
    helps gets a lower score, and where it is zero, none.
    Breaks when: `softmax(logits * D)`; or what D adds is taken off, `logits - (D - 1)`, `logits + (1 - D) * 1e4`.
    Remedy: `logits + D.log()`.
    """
    reading, sites = decided(probe)
    for site in sites:
        if (lowered := _where_lowered(reading, site)) is not None:
            raise Violation(
                "D is taken off the logits of the kept tokens: a larger D makes a token's weight smaller",
                where=lowered.place,
                effect="the selection is trained backwards: what helps is dropped",
                fix="logits = logits + decision.log(): the same forward pass, and a gradient of the right sign",
            )
        for number in reading.graph.descendants(site.decision_call.number):  # type: ignore[union-attr]
            call = reading.watched.calls[number]
            if _multiplies_kept_logits(reading, site, call):
                raise Violation(
                    "D multiplies the logits of the kept tokens, and hands each score its gradient times that logit",
                    where=call.place,
                    effect="where the logit is negative, a token that helps gets a lower score",
                    fix="logits = logits + decision.log(): the same forward pass, and a gradient of the right sign",
                )


def _where_lowered(reading: Reading, site: Site) -> Call | None:
    """The call that takes D off the logits of a softmax that gives the kept tokens their weights."""
    assert site.decision is not None and site.decision_call is not None
    meeting = meeting_of(reading, site.decision_call)
    if meeting is None or meeting.name not in SUMS or not meeting.tensors:
        return None
    softmax = _goes_into_softmax(reading, meeting)
    parts = [t for t in meeting.read if t.requires_grad]
    if softmax is None or len(parts) != 2 or not softmax.read[0].requires_grad:
        return None
    of_decision = [t for t in parts if (n := reading.watched.watch.number_of(t)) is not None
                   and reading.graph.depends(n, site.decision_call.number)]  # fmt: skip
    if len(of_decision) != 1:
        return None
    kept = site.decision.detach() > 0.5
    total = softmax.read[0].masked_fill(softmax.read[0].isinf(), 0).sum()
    slope = torch.autograd.grad(total, site.decision, retain_graph=True, allow_unused=True)[0]
    if slope is None or slope.shape != kept.shape or not kept.any() or not bool((slope[kept] < 0).all()):
        return None
    weights = softmax.tensors[0].detach()
    open_ = float(weights.amax()) > 0 and float((weights > 1e-6).float().mean()) > 0.5
    return meeting if open_ and weights.shape[-1] <= int(kept.sum(-1).max()) else None


def _multiplies_kept_logits(reading: Reading, site: Site, call: Call) -> bool:
    """Whether D of the kept tokens alone, which is one, multiplies logits of both signs."""
    if call.name not in PRODUCTS or len(call.read) != 2:
        return False
    ones = [t for t in call.read if _is_kept_decision(reading, site, t)]
    logits = [t for t in call.read if not any(t is one for one in ones)]
    if len(ones) != 1 or len(logits) != 1 or not logits[0].requires_grad or logits[0].dim() < 2:
        return False
    softmax = _goes_into_softmax(reading, call)
    if softmax is None or softmax.argument(1, "dim") not in (-1, logits[0].dim() - 1):
        return False
    later = (reading.watched.calls[n] for n in reading.graph.descendants(softmax.number))
    if any(each.name in PRODUCTS and any(_is_kept_decision(reading, site, t) for t in each.read) for each in later):
        return False
    return bool((logits[0] < 0).any()) and bool((logits[0] > 0).any())


def _is_kept_decision(reading: Reading, site: Site, tensor: Tensor) -> bool:
    """Whether it is D where tokens are kept: all ones, with its gradient, and the same numbers as D."""
    number = reading.watched.watch.number_of(tensor)
    if number is None or not tensor.requires_grad or tensor.numel() < 2 or not bool((tensor.detach() - 1 == 0).all()):
        return False
    graph, calls = reading.graph, reading.watched.calls
    while number is not None and number != site.decision_call.number:  # type: ignore[union-attr]
        call = calls[number]
        if call.name not in SAME_NUMBERS and call.name not in PICKS:
            return False
        number = next((n for n in call.inputs if graph.depends(n, site.decision_call.number)), None)  # type: ignore[union-attr]
    return number is not None


@law(needs="call", domain=CALL)
def kept_tokens_are_attended(probe: Probe) -> None:
    """A boolean mask that attention is given lets it read the kept tokens, and hides the dropped ones.

    Why: `nn.MultiheadAttention` hides what its mask marks as True, `scaled_dot_product_attention` reads it. Turned
    round, what was dropped is read, or nothing at all, and the shape is right.
    Breaks when: the mask of the kept tokens is handed over as `key_padding_mask`.
    Remedy: `key_padding_mask=~kept`; `scaled_dot_product_attention(..., attn_mask=kept)`.
    """
    reading, sites = decided(probe)
    for call in reading.watched.calls:
        for name, hides in (("key_padding_mask", True), ("attn_mask", call.name != "scaled_dot_product_attention")):
            mask = call.kwargs.get(name)
            if call.name not in MASKED or not isinstance(mask, Tensor):
                continue
            # Torch itself makes a floating mask of a boolean one, with minus infinity where nothing is read.
            hidden = torch.isneginf(mask.detach()) if mask.is_floating_point() else mask if hides else ~mask
            for site in sites:
                kept = site.by_sample(site.decision.detach() > 0.5)  # type: ignore[union-attr]
                if kept.dim() == 2 and kept.numel() == site.ranked.numel() and _is_of(hidden, kept):
                    raise Violation(
                        f"{name} hides the kept tokens from the attention, and lets it read the dropped ones",
                        where=call.place_beside(site.decision_call),  # type: ignore[arg-type]
                        effect="what was selected is not read",
                        fix=f"{name}=~kept" if hides else f"{name}=kept",
                    )


def _is_of(mask: Tensor, tokens: Tensor) -> bool:
    """Whether a mask (B ... N) says the same of every query as `tokens` (B N), where these are neither all nor none."""
    if mask.shape[-1] != tokens.shape[-1] or mask.shape[0] != tokens.shape[0] or tokens.all() or not tokens.any():
        return False
    return torch.equal(mask, tokens.view(len(tokens), *[1] * (mask.dim() - 2), -1).expand_as(mask))
