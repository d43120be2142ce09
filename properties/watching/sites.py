"""Where tokens are chosen: every hard choice of a watched pass, the score it was made by, and D, if there is one."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.watching.choosing import (
    CHOOSES,
    LEAVES,
    NEAR,
    Kind,
    _first_tensor,
    choices,
    few_values,
    hands_on,
    is_hard,
    is_time_first,
    operand_of,
    trainable,
    used,
)
from sdtps_ref.properties.watching.graph import Graph
from sdtps_ref.properties.watching.record import Call, Watched, tensors_in

SOFT = ("softmax", "sigmoid", "tanh", "exp", "normalize")  # near 0 and 1 where they are steep, and no D for that


@dataclass(eq=False)
class Site:
    """One hard choice, in a watched pass.

    kind: how it is made. choice: the call that makes it; further: other calls that make the same one. ranked: what
    it is made by. score: the last tensor that both the choice and D's gradient come from, else `ranked`, behind its
    detached and reshaped forms. decision: the first result that is hard and carries a gradient; None if nothing does.
    """

    kind: Kind
    choice: Call
    ranked: Tensor
    score: Tensor
    score_call: Call | None
    further: list[Call] = field(default_factory=list)
    decision: Tensor | None = None
    decision_call: Call | None = None
    score_is_behind: bool = True  # whether D's gradient comes from what the choice was made by
    time_first: bool = False  # whether scores are N B, as in code that has the batch second

    def by_sample(self, tensor: Tensor) -> Tensor:
        """A score, mask or D with the samples along its first axis."""
        return tensor.transpose(0, 1) if self.time_first and tensor.dim() >= 2 else tensor

    @property
    def place(self) -> SourceLine | None:
        """The line of the choice."""
        return self.choice.place

    @property
    def keeps_all(self) -> bool:
        """Whether nothing is dropped, so that this pass says little about the choice."""
        if self.decision is not None:
            return self.choice.name == "topk" and self.choice.result[1].shape[-1] == self.ranked.shape[-1]
        return self.choice.name == "topk" and self.choice.result[1].numel() == self.ranked.numel()


def find_sites(watched: Watched) -> list[Site]:
    """The hard choices of this pass, in order; several calls that make one choice are one site."""
    graph = Graph(watched.calls)
    sites: list[Site] = []
    for call in choices(watched):
        operand = operand_of(call)
        made_by = watched.watch.number_of(operand)
        origin = None if made_by is None else graph.origin(made_by)
        owner = next((site for site in sites if _same_choice(graph, site, call, operand, origin, watched)), None)
        if owner is not None:
            owner.further.append(call)
            continue
        if (
            not operand.requires_grad
            and few_values(operand)
            and not any(graph.depends(call.number, site.choice.number) for site in sites)
        ):
            continue  # where padding is, and the like
        score_call = None if origin is None else watched.calls[origin]
        score = operand if score_call is None else _first_tensor(score_call, operand)
        if score_call is not None and score_call.outside and not score_call.inputs and hands_on(score_call):
            score, score_call = score_call.outside[0], None  # a detached view of what was passed in
        sites.append(
            Site(CHOOSES[call.name], call, operand, score, score_call, time_first=is_time_first(call, operand))
        )
    for site in sites:
        _find_decision(watched, graph, site, sites)
        _find_score(watched, graph, site)
    sites = _one_after_another(graph, sites)
    found = [site for site in sites if site.decision is not None or _chooses(watched, graph, site)]
    return found or _given(watched)


def _one_after_another(graph: Graph, sites: list[Site]) -> list[Site]:
    """Of a loop that takes the best one by one, the last turn, with the earlier ones among `further`."""
    kept: list[Site] = []
    for site in reversed(sites):
        last = next((other for other in kept if _goes_on(graph, site, other)), None)
        if last is None:
            kept.append(site)
        else:
            last.further.insert(0, site.choice)
    return kept[::-1]


def _goes_on(graph: Graph, site: Site, last: Site) -> bool:
    alike = site.kind == last.kind == "largest" and site.choice.stack == last.choice.stack
    return site.decision is None and alike and graph.depends(last.choice.number, site.choice.number)


def _given(watched: Watched) -> list[Site]:
    """A decision that is passed in, to a module that pools by it and chooses nothing itself."""
    for call in watched.calls:
        if call.place is not None:
            continue
        for tensor in call.tensors:
            if (
                trainable(tensor)
                and 2 <= tensor.dim() <= 3
                and bool((tensor.detach() == 1).all())
                and used(watched, call)
            ):
                return [Site("given", call, tensor, tensor, call, [], tensor, call)]
    return []


def _same_choice(graph: Graph, site: Site, call: Call, operand: Tensor, origin: int | None, watched: Watched) -> bool:
    if site.choice.name == "gumbel_softmax":
        return call.name != "gumbel_softmax" and graph.depends(call.number, site.choice.number) and is_hard(operand)
    same = site.score_call is not None and origin == site.score_call.number
    same = same or (origin is None and operand is site.score)
    if same or few_values(operand):
        return same or graph.depends(call.number, site.choice.number)
    # Compared with the K-th value that an earlier ranking found.
    return any(watched.watch.number_of(t) is not None and t is not operand
               and graph.depends(watched.watch.number_of(t), site.choice.number)  # type: ignore[arg-type]
               for t in call.read) and _same_numel(operand, site.ranked)  # fmt: skip


def _same_numel(one: Tensor, other: Tensor) -> bool:
    return one.numel() == other.numel()


def _is_ones_of_a_sum(call: Call, tensor: Tensor) -> bool:
    """D at the kept positions alone: ones, of a straight-through sum."""
    sums = ("add", "sub", "__add__", "__sub__", "__radd__", "__rsub__", "rsub")
    return call.name in sums and tensor.numel() > 1 and bool(((tensor.detach() - 1).abs() < NEAR).all())


def _find_decision(watched: Watched, graph: Graph, site: Site, sites: list[Site]) -> None:
    own = {site.choice.number, *(call.number for call in site.further)}
    others = [s.choice.number for s in sites if s is not site and s.choice.number > site.choice.number]
    # Through a list of Python numbers no data flow can be followed: then whatever is hard and comes later will do.
    left = any(c.name in LEAVES and any(graph.depends(c.number, n) for n in own) for c in watched.calls)
    for hard in (True, False):
        for call in watched.calls[site.choice.number :]:
            if not (left and hard) and not any(graph.depends(call.number, number) for number in own):
                continue
            if any(graph.depends(call.number, number) for number in others) or call.name in SOFT:
                continue
            for tensor in call.tensors:
                if not trainable(tensor) or tensor.numel() < 2:
                    continue
                if is_hard(tensor) if hard else _is_ones_of_a_sum(call, tensor):
                    site.decision, site.decision_call = tensor, call
                    return


def _find_score(watched: Watched, graph: Graph, site: Site) -> None:
    """Move the score to the last tensor that leads both to the choice and, by its gradient, to D."""
    if site.decision is None or site.decision_call is None:
        return
    ranked = watched.watch.number_of(site.ranked)
    if site.choice.name == "gumbel_softmax":
        return
    behind = set() if ranked is None else {ranked, *graph.ancestors(ranked)}
    shared = [n for n in graph.ancestors(site.decision_call.number) if n in behind]
    tensors = [(watched.calls[n], t) for n in shared for t in watched.calls[n].tensors]
    outside = [(None, t) for n in sorted(behind | {site.choice.number}, reverse=True) for t in watched.calls[n].outside]
    least = site.ranked.shape[-1]
    for call, tensor in [*tensors, *outside]:
        if trainable(tensor) and tensor.numel() >= least and reaches(site.decision, tensor):
            site.score, site.score_call = tensor, call
            return
    site.score_is_behind = False


def reaches(output: Tensor, source: Tensor) -> bool:
    """Whether a gradient leads from one to the other, be it zero."""
    if output is source:
        return True
    found = torch.autograd.grad(output, source, torch.ones_like(output), retain_graph=True, allow_unused=True)[0]
    return found is not None


def _chooses(watched: Watched, graph: Graph, site: Site) -> bool:
    """Whether tokens are chosen by it: its result picks rows of something, or masks something that is returned."""
    picks = {"gather", "index_select", "take_along_dim", "__getitem__", "masked_select", "scatter", "scatter_",
             "masked_fill", "masked_fill_", "where", "__setitem__", "one_hot", "index_put_", "mul", "__mul__",
             "__rmul__", "nonzero", "embedding", "index_fill_", "float", "to", "type", "scatter_add",
             "index_add_"}  # fmt: skip
    returned = {watched.watch.number_of(tensor) for tensor in tensors_in(watched.output)} - {None}
    if any(graph.depends(last, site.choice.number) for last in returned if last is not None) and any(
        not tensor.is_floating_point() for tensor in tensors_in(watched.output)
    ):
        return True
    for number in graph.descendants(site.choice.number):
        if watched.calls[number].name in picks and (
            not returned or any(graph.depends(last, number) for last in returned)  # type: ignore[arg-type]
        ):
            return True
    return False
