"""By which roads a gradient reaches the score."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.watching.choosing import RANKS, is_hard
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.sites import Site

HARDENS = ("scatter", "scatter_", "one_hot", "__setitem__", "float", "to", "type", "type_as", "index_fill_", "where",
           "masked_fill", "masked_fill_", "double", "half", "new_tensor")  # fmt: skip


def moved(reading: Reading, tensor: Tensor | None) -> bool:
    """Whether a gradient other than zero reaches the tensor."""
    slope = None if tensor is None else reading.gradient(tensor)
    return slope is not None and bool((slope != 0).any())


def moved_elsewhere(reading: Reading, site: Site) -> bool:
    """Whether what the score is made of is trained by other roads than the score: nothing serves the score alone."""
    if site.score_call is None:
        return False
    upstream = reading.upstream(site.score_call, site.score)
    learned = [tensor for tensor in upstream if isinstance(tensor, nn.Parameter)]
    if not site.score.requires_grad:
        slopes = reading.gradients([*learned] or upstream)
    else:
        try:
            loss = reading.loss(reading.again({site.score_call.number: lambda result: _cut(result, site.score)}))
        except Exception:
            return True
        if loss is None or not loss.requires_grad or not upstream:
            return False
        slopes = list(torch.autograd.grad(loss, learned or upstream, allow_unused=True))
    reached = [slope is not None and bool((slope != 0).any()) for slope in slopes]
    return all(reached) and bool(reached) if learned else any(reached)


def has_own_backward(reading: Reading, site: Site) -> bool:
    """Whether an autograd Function of the user's own hands a gradient on past the choice, as perturbed top-K does."""
    for n in reading.graph.descendants(site.choice.number):
        call = reading.watched.calls[n]
        if any(t.requires_grad for t in call.read):
            continue
        if any(t.requires_grad and not t.is_leaf and moved(reading, t) for t in call.tensors):
            return True
    return False


def handed_on(reading: Reading, site: Site) -> Tensor | None:
    """What a choice with a backward pass of its own was made by, as the tensor that gets its gradient."""
    for n in [site.choice.number, *reading.graph.ancestors(site.choice.number)]:
        call = reading.watched.calls[n]
        for tensor in (*call.tensors, *call.read):
            trainable = tensor.requires_grad and tensor.dim() > 1 and not isinstance(tensor, nn.Parameter)
            if trainable and moved(reading, tensor):
                return tensor
    return None


def _cut(result: Tensor, score: Tensor) -> Tensor:
    return result.detach() if isinstance(result, Tensor) and result.shape == score.shape else result


def returned_with_gradient(reading: Reading, site: Site) -> bool:
    """Whether D, or what is made of it alone, is returned with its gradient."""
    for output in reading.watched.outputs:
        if output is site.decision:
            return True
        if site.decision is None or not output.requires_grad or any(output is t for t in reading.outputs):
            continue
        if torch.autograd.grad(output.sum(), site.decision, retain_graph=True, allow_unused=True)[0] is not None:
            return True
    return False


def kept_scores_moved(reading: Reading, site: Site) -> bool:
    """Whether a gradient reaches the scores of kept tokens; any score's, where it cannot be told which are kept."""
    slope = reading.gradient(site.score)
    if slope is None:
        return False
    kept = kept_tokens(reading, site) if slope.shape == site.ranked.shape else None
    if kept is None or kept.all() or not kept.any():
        return bool((slope != 0).any())
    return bool((slope[kept] != 0).any())


def kept_tokens(reading: Reading, site: Site) -> Tensor | None:
    """B N: which tokens are kept, by the indices of the ranking."""
    indices = next((t for t in site.choice.tensors if not t.is_floating_point()), None)
    if site.choice.name not in RANKS or indices is None or site.ranked.dim() != 2:
        return None
    blank = torch.zeros_like(site.ranked, dtype=torch.bool)
    if site.choice.name == "topk":
        return blank.scatter(-1, indices, True)
    for call in reading.watched.calls[site.choice.number :]:
        if call.name in ("__getitem__", "narrow", "chunk", "split") and call.read and call.read[0] is indices:
            part = call.tensors[0]
            if part.dim() == 2 and 0 < part.shape[-1] < indices.shape[-1]:
                return blank.scatter(-1, part, True)
    return None


def moved_by_the_chosen(reading: Reading, site: Site) -> bool:
    """Whether a gradient reaches the score from what the choice had a part in; a returned score trains itself."""
    numbers = [site.choice.number, *(call.number for call in site.further)]
    made = [(t, reading.watched.watch.number_of(t)) for t in reading.outputs]
    outputs = [t for t, n in made if n is not None and any(reading.graph.depends(n, number) for number in numbers)]
    if not outputs or not site.score.requires_grad:
        return False
    cotangents = [draw("normal", tuple(t.shape), 23).to(t) for t in outputs]
    slope = torch.autograd.grad(outputs, site.score, cotangents, retain_graph=True, allow_unused=True)[0]
    return slope is not None and bool((slope != 0).any())


def is_cut(reading: Reading, site: Site) -> bool:
    """Whether the score carries no gradient though what it was made of does: under no_grad, or detached."""
    return not site.score.requires_grad and bool(reading.upstream(site.score_call, site.score))


def makes_hard_mask(reading: Reading, site: Site) -> bool:
    """Whether a floating mask of zeros and ones is made of the choice: the forward half of D."""
    return hardened(reading, site) is not None


def hardened(reading: Reading, site: Site) -> Call | None:
    if site.ranked.dim() > 2 and site.ranked.shape[-1] == site.ranked.shape[-2]:
        return None  # of pairs, as distances are, and not of tokens
    for n in reading.graph.descendants(site.choice.number):
        call = reading.watched.calls[n]
        masks = [t for t in call.tensors if t.is_floating_point() and t.numel() == site.ranked.numel()]
        if call.name in HARDENS and any(is_hard(t) for t in masks):
            return call
    return None
