"""The soft mask of the user's own call: that of a softmax over the tokens, at the noise that the ranking saw."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.choosing import is_hard
from sdtps_ref.properties.watching.forms import SUMS
from sdtps_ref.properties.watching.graph import DRAWS
from sdtps_ref.properties.watching.passes import Passes
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.sites import Site

RANKINGS = ("topk", "sort", "argsort", "kthvalue", "argmax", "one_hot")
ALMOST = 0.999  # of a row's sum in one entry: saturated
CONSTANT = 1e-4  # of a soft mask's sum, what rounding leaves


@law(needs="call", depends="call.backward_stays_in_its_sample", domain=CALL)
def soft_mask_sums_to_one(probe: Probe) -> None:
    """A soft mask whose rows sum to the same number whatever the scores are has no gradient in that sum; and where it
    is a softmax over the tokens, the number is one.

    Why: raising one token's score must lower the others'. Where the gradient of the sum is left over, all scores are
    pushed the same way, and the direction is wrong for every token. Where the result of the softmax is divided by a
    temperature, the mask gets no harder, and its gradient is a multiple of what it should be.
    Breaks when: a backward pass of one's own leaves out `- p * (p * g).sum()`, or is taken at the hard mask; the sum of
    the exponentials is detached; the temperature divides the softmax and not the score.
    Remedy: `torch.softmax((score + noise) / tau, dim=-1)`, differentiated by autograd.
    """
    passes = passes_of(probe)
    reading, sites = decided(probe)
    for site in sites:
        soft = _soft_half(reading, site)
        if site.time_first:
            continue
        if soft is None:
            _expect_no_softmax_by_entry(passes, site)
            _expect_the_soft_result(passes, site)
            continue
        sums = soft.detach().sum(-1)
        if is_hard(soft) or bool((soft.detach().amax(-1) > ALMOST * sums).all()):
            continue  # saturated: what it sums to is what it happens to be
        _expect_the_ranked_axis(reading, site, soft)
        if (sums - sums.mean()).abs().max() > CONSTANT * sums.mean().abs() or soft.shape[-1] < 3:
            continue
        if _is_in_groups(site, soft):
            continue  # each of them sums to one, as the graphs of a packed batch
        if abs(float(sums.mean()) - 1) < CONSTANT and not _is_estimate(reading, site, soft):
            _expect_no_slope(reading, site, soft)
        kept = site.decision.detach().sum(-1)  # type: ignore[union-attr]
        total = float(sums.mean())
        divided = any(abs(total * tau - 1) < 1e-2 for tau in passes.temperatures())
        if abs(total - 1) > 1e-2 and (divided or not bool(((kept - total).abs() < 0.5).any())):
            raise Violation(
                f"the soft mask sums to {total:.3g} over the tokens, and not to 1: what is divided is the softmax, and "
                "not the score",
                where=_place_of(reading, soft),
                effect="the temperature multiplies the gradient and leaves the soft mask as soft as it was",
                fix="soft = torch.softmax((score + noise) / tau, dim=-1)",
            )


def _expect_the_ranked_axis(reading: Reading, site: Site, soft: Tensor) -> None:
    """Of a soft mask B H N whose tokens are ranked along the last axis: it is taken over them, not over the heads."""
    if soft.dim() < 3 or site.kind != "ranking" or site.ranked.shape != soft.shape:
        return
    value, axes = soft.detach(), range(1, soft.dim())
    sums_to_one = [bool(((value.sum(axis) - 1).abs() < CONSTANT).all()) for axis in axes]
    dim = site.choice.kwargs.get("dim", -1)
    if dim in (-1, soft.dim() - 1) and not sums_to_one[-1] and any(sums_to_one[:-1]):
        axis = 1 + sums_to_one.index(True)
        raise Violation(
            f"the soft mask is a softmax over axis {axis}, while tokens are chosen along the last",
            where=_place_of(reading, soft),
            effect="a token's gradient says how it compares with other heads, and not with other tokens",
            fix="soft = torch.softmax(score / tau, dim=-1)",
        )


def _expect_no_softmax_by_entry(passes: Passes, site: Site) -> None:
    """Of a D with a backward pass of its own, whose entries have slopes that sum to one like a softmax's results."""
    if passes.mask(site).kind != "elementwise":
        return
    slopes = torch.autograd.grad(site.decision[0].sum(), site.score, retain_graph=True)[0][0]  # type: ignore[index]
    total = float(slopes.double().sum())
    if any(abs(total * tau - 1) < CONSTANT for tau in (1.0, *passes.temperatures())) and bool((slopes > 0).all()):
        raise Violation(
            "D's gradient is not that of a softmax: each entry's is its own result alone, and those of the other "
            "tokens are left out",
            where=_where_written(site) or site.place,
            effect="all scores are pushed the same way: the direction is wrong for every token",
            fix="return p * (g - (p * g).sum(-1, keepdim=True)) / tau",
        )


def _expect_the_soft_result(passes: Passes, site: Site) -> None:
    """Of a D with a backward pass of its own: it is that of a softmax at the soft mask, and not at D itself."""
    if passes.mask(site).at_hard:
        raise Violation(
            "D's backward pass puts the hard mask where the softmax's result belongs",
            where=_where_written(site) or site.place,
            effect="dropped tokens get no gradient, and kept ones are pushed down whatever they are good for",
            fix="ctx.save_for_backward(soft), in place of the hard mask",
        )


def _is_in_groups(site: Site, soft: Tensor) -> bool:
    """Whether a row is several softmaxes: an entry does not depend on all of its row's scores."""
    if soft.dim() > 2 or not site.score.requires_grad or site.score.shape != soft.shape:
        return False
    rows = soft.unsqueeze(0) if soft.dim() == 1 else soft
    slope = torch.autograd.grad(rows[0, 0], site.score, retain_graph=True, allow_unused=True)[0]
    own = None if slope is None else slope if soft.dim() == 1 else slope[0]
    return own is not None and bool(own.any()) and bool((own == 0).any())


def _is_estimate(reading: Reading, site: Site, soft: Tensor) -> bool:
    """Whether the soft mask is itself made of rankings, as the mean of perturbed ones is."""
    number = reading.watched.watch.number_of(soft)
    first = -1 if site.score_call is None else site.score_call.number
    behind = [] if number is None else [number, *reading.graph.ancestors(number)]
    return any(reading.watched.calls[n].name in RANKINGS for n in behind if n > first)


def _where_written(site: Site) -> SourceLine | None:
    """The last line of the backward pass that D's own Function has."""
    function: Any = getattr(type(getattr(site.decision, "grad_fn", None)), "_forward_cls", None)
    try:
        lines, first = inspect.getsourcelines(function.backward)
        file = inspect.getsourcefile(function.backward)
    except (TypeError, OSError, AttributeError):
        return None
    last = max((i for i, line in enumerate(lines) if line.strip().startswith("return")), default=0)
    return SourceLine(file or "", first + last)


def _expect_no_slope(reading: Reading, site: Site, soft: Tensor) -> None:
    """Of the sum, beside that of single entries."""
    if not site.score.requires_grad or soft is site.score:
        return
    whole = torch.autograd.grad(soft[0].sum(), site.score, retain_graph=True, allow_unused=True)[0]
    largest = soft.detach()[0].argmax()
    single = torch.autograd.grad(soft[0].flatten()[largest], site.score, retain_graph=True, allow_unused=True)[0]
    if whole is None or single is None or not single.any():
        return
    left = float(whole.norm() / single.norm())
    if left > 0.05:
        raise Violation(
            "the soft mask's gradient is not that of a softmax: its rows always sum to 1, yet the gradient of that sum "
            f"is {left:.2g} times that of an entry",
            where=_place_of(reading, soft),
            effect="all scores are pushed the same way: the direction is wrong for every token",
            fix="soft = torch.softmax(score / tau, dim=-1), or return p * (g - (p * g).sum(-1, keepdim=True))",
        )


def _soft_half(reading: Reading, site: Site) -> Tensor | None:
    """The soft mask of a straight-through sum: what goes into it both as it is and detached, of D's shape."""
    decision = site.decision
    assert decision is not None and site.decision_call is not None
    ancestors = reading.graph.ancestors(site.decision_call.number)
    for number in ancestors:
        call = reading.watched.calls[number]
        soft = call.read[0] if call.name in ("detach", "__get__", "detach_") and call.read else None
        if soft is None or soft.shape != decision.shape or not soft.requires_grad:
            continue
        sums = (reading.watched.calls[n] for n in (site.decision_call.number, *ancestors))
        if any(each.name in SUMS and any(t is soft for t in each.read) for each in sums):
            return soft
    return None


def _place_of(reading: Reading, tensor: Tensor) -> SourceLine | None:
    number = reading.watched.watch.number_of(tensor)
    return None if number is None else reading.watched.calls[number].place


@law(needs="call", depends="call.soft_mask_sums_to_one", domain=CALL)
def one_draw_serves_both(probe: Probe) -> None:
    """Where both the ranking and the soft mask see noise, it is the same draw.

    Why: straight through, the gradient is that of the soft mask at the noise that it saw. With another draw it is that
    of another choice than the one that was made.
    Breaks when: noise is drawn once for the ranking and once more for the soft mask, as by two calls of one helper.
    Remedy: `noisy = score + noise`, and both of `noisy`; or rank by the score itself, without noise.
    """
    reading, sites = decided(probe)
    calls, graph = reading.watched.calls, reading.graph
    for site in sites:
        soft = _soft_half(reading, site)
        made = None if soft is None else reading.watched.watch.number_of(soft)
        if made is None or site.score_call is None:
            continue
        before = {site.score_call.number, *graph.ancestors(site.score_call.number)}
        ranked = {n for n in graph.ancestors(site.choice.number) if calls[n].name in DRAWS} - before
        softened = {n for n in graph.ancestors(made) if calls[n].name in DRAWS} - before
        if ranked and softened and not ranked & softened:
            raise Violation(
                "the ranking and the soft mask see two different draws of the noise",
                where=calls[max(softened | ranked)].place_beside(site.decision_call),  # type: ignore[arg-type]
                effect="the gradient is that of another choice than the one that was made",
                fix="noisy = score + noise, then rank noisy and take the softmax of noisy",
            )
