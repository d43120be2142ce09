"""The way from D to the loss in a watched step: mask, weights, pooled tokens, and what serves the score alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, nn

from sdtps_ref.properties.tracing.step_watch import StepWatch
from sdtps_ref.properties.watching.graph import Graph
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.sites import Site

POOLS = ("matmul", "__matmul__", "__rmatmul__", "bmm", "einsum", "mean", "sum", "scaled_dot_product_attention",
         "baddbmm", "multi_head_attention_forward", "mm", "addmm")  # fmt: skip
SOFT = ("softmax", "sigmoid", "log_softmax", "gumbel_softmax")
PLACES = {"__get__", "size", "dim", "view", "reshape", "transpose", "permute", "unsqueeze", "squeeze", "expand",
          "gather", "__getitem__", "to", "float", "type_as", "flatten", "contiguous", "take_along_dim"}  # fmt: skip


@dataclass(eq=False)
class Flow:
    """A site within the step whose loss is `root`. held: ids of the tensors that the module keeps from call to call."""

    watch: StepWatch
    graph: Graph
    site: Site
    root: int
    held: frozenset[int] = frozenset()

    @property
    def calls(self) -> list[Call]:
        """All calls of the step."""
        return self.watch.calls

    @cached_property
    def after(self) -> list[int]:
        """The calls between D and the loss: they depend on the one, and the other depends on them."""
        if self.site.decision_call is None:
            return []
        first = self.site.decision_call.number
        return [n for n in self.graph.descendants(first) if n <= self.root and self.graph.depends(self.root, n)]

    @cached_property
    def pooled(self) -> Call | None:
        """The first pooling that all of D's influence passes through; else the loss itself."""
        relevant = set(self.after)
        if not relevant or self.site.decision_call is None:
            return None
        open_until = 0
        uses = self._uses
        open_until = max((n for n in uses[self.site.decision_call.number] if n in relevant), default=0)
        for number in self.after:
            call = self.calls[number]
            if open_until <= number and call.name in POOLS and call.tensors and call.tensors[0].is_floating_point():
                return call
            open_until = max([open_until, *(n for n in uses[number] if n in relevant)])
        return self.calls[self.root]

    @cached_property
    def _uses(self) -> dict[int, list[int]]:
        uses: dict[int, list[int]] = {call.number: [] for call in self.calls}
        for call in self.calls[: self.root + 1]:
            for number in call.inputs:
                uses[number].append(call.number)
        return uses

    @cached_property
    def weights(self) -> Call | None:
        """The softmax between D and the pooled tokens: the pooling weights."""
        last = self.pooled.number if self.pooled is not None else -1
        return next((self.calls[n] for n in self.after if n <= last and self.calls[n].name == "softmax"), None)

    @cached_property
    def mask(self) -> Call | None:
        """The call that puts D into the logits, weights or tokens: the last arithmetic on D before it meets others."""
        site = self.site
        if site.decision_call is None:
            return None
        last = self.weights or self.pooled
        first = site.decision_call.number
        for n in self.after:
            call = self.calls[n]
            if last is not None and n >= last.number:
                break
            if call.name in PLACES or not call.tensors or not call.tensors[0].requires_grad:
                continue
            others = [t for t in call.read if t.is_floating_point() and not self._of_decision(t, first)]
            if any(t.dim() > 1 for t in others):
                return call
        return None if last is None or last is self.calls[self.root] else last

    def _of_decision(self, tensor: Tensor, first: int) -> bool:
        number = self.watch.number_of(tensor)
        return number is not None and self.graph.depends(number, first)

    @cached_property
    def soft(self) -> Call | None:
        """The softmax or sigmoid behind D."""
        site = self.site
        if site.decision_call is None:
            return None
        if site.decision_call.name == "gumbel_softmax":
            return site.decision_call
        for n in self.graph.ancestors(site.decision_call.number):
            call = self.calls[n]
            if call.name not in SOFT:
                continue
            if site.score_call is None:
                of_score = any(t is site.score for t in self._read_above(n))
            else:
                of_score = self.graph.depends(n, site.score_call.number)
            if of_score:
                return call
        return None

    def _read_above(self, number: int) -> list[Tensor]:
        return [t for n in (number, *self.graph.ancestors(number)) for t in self.calls[n].outside]

    @cached_property
    def upstream(self) -> list[Tensor]:
        """The parameters that the score is made of, frozen ones too."""
        call = self.site.score_call
        numbers = [] if call is None else [call.number, *self.graph.ancestors(call.number)]
        found = {id(t): t for n in numbers for t in self.calls[n].outside if isinstance(t, nn.Parameter)}
        if call is None and isinstance(self.site.score, nn.Parameter):
            found[id(self.site.score)] = self.site.score
        return list(found.values())

    @cached_property
    def own(self) -> list[Tensor]:
        """The parameters that serve the score alone: every way from them to the loss leads through it."""
        site = self.site
        blocked = {site.choice.number, *(c.number for c in site.further)}
        if site.score_call is not None:
            blocked.add(site.score_call.number)
        alive = self._reaching(self.root, blocked)
        used = {id(t) for n in alive for t in self.calls[n].outside}
        return [t for t in self.upstream if id(t) not in used]

    def _reaching(self, root: int, blocked: set[int]) -> set[int]:
        """The calls from which `root` is reached without passing a blocked one."""
        found: set[int] = set()
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if number in found or number in blocked:
                continue
            found.add(number)
            waiting.extend(self.calls[number].inputs)
        return found
