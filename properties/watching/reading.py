"""What one watched training pass tells of a site: gradients at every rung."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.watching.choosing import is_hard
from sdtps_ref.properties.watching.graph import Graph
from sdtps_ref.properties.watching.record import Call, Watched, watch
from sdtps_ref.properties.watching.sites import Site, find_sites


@dataclass(eq=False)
class Reading:
    """One pass and its sites. run: makes the same call again."""

    watched: Watched
    sites: list[Site]
    run: Callable[[], Any]
    seed: int
    weighings: dict[int, list[tuple[Tensor, Call]]] = field(default_factory=dict)  # see weighing.py
    _slopes: dict[int, tuple[Tensor, Tensor | None]] = field(default_factory=dict)

    @cached_property
    def graph(self) -> Graph:
        """What depends on what."""
        return Graph(self.watched.calls)

    @property
    def every_site(self) -> list[Site]:
        """The sites of the whole pass, also where `sites` are those of a part of it."""
        return self.sites

    @cached_property
    def outputs(self) -> list[Tensor]:
        """Returned tensors through which the module is trained; D itself, where it is returned, is not among them."""
        decisions = [site.decision for site in self.sites if site.decision is not None]
        return [
            tensor
            for tensor in self.watched.outputs
            if tensor.requires_grad and not any(tensor is d for d in decisions) and not is_hard(tensor)
        ]

    def ends(self, watched: Watched | None = None) -> list[Tensor]:
        """What the call comes to, all of it; of a call that was made again, if one is given."""
        return (watched or self.watched).outputs

    @property
    def returns_decision(self) -> bool:
        """Whether a hard mask that carries a gradient is returned."""
        return any(tensor.requires_grad and is_hard(tensor) for tensor in self.watched.outputs)

    def loss(self, watched: Watched | None = None) -> Tensor | None:
        """A random combination of all outputs."""
        own = self.outputs
        if not own:
            return None
        places = [i for i, tensor in enumerate(self.watched.outputs) if any(tensor is each for each in own)]
        outputs = (watched or self.watched).outputs
        return torch.stack([_weighed(outputs[i], i) for i in places]).sum()

    @cached_property
    def _loss(self) -> Tensor | None:
        return self.loss()

    def gradients(self, sources: list[Tensor]) -> list[Tensor | None]:
        """d loss / d source for each; None where no path leads there."""
        found: list[Tensor | None] = [None] * len(sources)
        asked = [i for i, source in enumerate(sources) if source.requires_grad]
        if self._loss is None or not asked:
            return found
        slopes = torch.autograd.grad(self._loss, [sources[i] for i in asked], retain_graph=True, allow_unused=True)
        for i, slope in zip(asked, slopes, strict=True):
            found[i] = slope
        return found

    def gradient(self, source: Tensor) -> Tensor | None:
        """d loss / d source; None where no path leads there. Kept: several laws ask for the same."""
        if id(source) not in self._slopes:
            self._slopes[id(source)] = (source, self.gradients([source])[0])
        return self._slopes[id(source)][1]

    def size(self, tensor: Tensor) -> float:
        """The norm of d loss / d tensor, for a tensor of this pass; 0 where no path leads there."""
        return self._sizes.get(id(tensor), 0.0)

    @cached_property
    def _sizes(self) -> dict[int, float]:
        """All norms, by one backward pass: each gradient is measured as it comes by, and not kept."""
        held = [tensor for call in self.watched.calls for tensor in (*call.tensors, *call.outside)]
        wanted = {id(tensor): tensor for tensor in held if tensor.requires_grad}
        leaves = [tensor for tensor in wanted.values() if tensor.is_leaf]
        found: dict[int, float] = {}
        if self._loss is None or not leaves:
            return found

        def measure(key: int, slope: Tensor) -> None:
            found[key] = float(torch.linalg.vector_norm(slope.detach(), dtype=torch.float64))

        hooks = [tensor.register_hook(partial(measure, key)) for key, tensor in wanted.items() if not tensor.is_leaf]
        try:
            slopes = self.gradients(leaves)
        finally:
            for hook in hooks:
                hook.remove()
        for leaf, slope in zip(leaves, slopes, strict=True):
            if slope is not None:
                measure(id(leaf), slope)
        return found

    def again(self, answers: dict[int, Callable[[Tensor], Tensor]]) -> Watched:
        """The same pass, with other results for some calls."""
        return watch(self.run, self.seed, answers)

    def behind_score(self, site: Site) -> list[Call]:
        """The calls that make the site's score, the last one first; none where it is passed in."""
        if site.score_call is None:
            return []
        return [self.watched.calls[n] for n in (site.score_call.number, *self.graph.ancestors(site.score_call.number))]

    def upstream(self, call: Call | None, tensor: Tensor) -> list[Tensor]:
        """The trainable tensors, parameters or inputs, that a result was made of."""
        if call is None:
            return [tensor] if tensor.requires_grad else []
        numbers = [call.number, *self.graph.ancestors(call.number)]
        found = {id(t): t for n in numbers for t in self.watched.calls[n].outside if t.requires_grad and t.is_leaf}
        return list(found.values())


def read(run: Callable[[], Any], seed: int = 0) -> Reading:
    """Watch a pass and find its sites. run: one forward pass, in train mode, of inputs that require grad."""
    watched = watch(run, seed)
    return Reading(watched, find_sites(watched), run, seed)


def _weighed(output: Tensor, place: int) -> Tensor:
    weights = draw("normal", tuple(output.shape), 11 + place).to(output)
    return (output * weights).sum() / max(output.numel(), 1) ** 0.5
