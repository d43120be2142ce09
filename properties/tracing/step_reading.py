"""One training step, read as the laws of a call read a watched pass: gradients are those of the user's own backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.tracing.capture import Capture
from sdtps_ref.properties.tracing.flow import Flow
from sdtps_ref.properties.tracing.replay import Replay
from sdtps_ref.properties.tracing.step_watch import StepWatch
from sdtps_ref.properties.watching.passes import Passes
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call, Watched
from sdtps_ref.properties.watching.removal import gain_of, removal
from sdtps_ref.properties.watching.sites import Site
from sdtps_ref.properties.watching.soft_mask import SoftMask
from sdtps_ref.properties.watching.subject import Subject

PICKS = ("gather", "take_along_dim", "index_select", "__getitem__", "embedding")


@dataclass(eq=False)
class Remade:
    """A step of which a part was made again: its calls, the remade ones with their new results."""

    calls: list[Call]
    output: Any = None


class StepReading(Reading):
    """A reading of a step that was made once, by its user.

    `gradient` gives what was captured; `again` makes the recorded calls between D and the pooled tokens again.
    """

    def __init__(self, watch: StepWatch, sites: list[Site], root: Tensor, capture: Capture, held: frozenset[int]):
        super().__init__(Watched(watch, [root]), sites, _not_again, 0)
        self.watch, self.root, self.capture, self._every_site = watch, root, capture, sites
        number = watch.number_of(root)
        self.root_call = len(watch.calls) - 1 if number is None else number
        self.flows = {id(site): Flow(watch, self.graph, site, self.root_call, held) for site in sites}
        self.replay = Replay(watch, self.graph)
        self._follow_picks = True  # whether picked tokens require grad anew when calls are made again
        self._ends = [end for flow in self.flows.values() if (end := flow.pooled) is not None]

    @property
    def every_site(self) -> list[Site]:
        """All of the step's."""
        return self._every_site

    def gradient(self, source: Tensor) -> Tensor | None:
        """d loss / d source, as it came in the backward pass; None where none came."""
        kept = self.capture.value(source)
        if kept is None and self.capture.norm(source) is not None:
            return torch.tensor([self.capture.norm(source)], dtype=torch.float64)  # of a large one, its norm
        return kept

    def gradients(self, sources: list[Tensor]) -> list[Tensor | None]:
        """`gradient` of each."""
        return [self.gradient(source) for source in sources]

    def size(self, tensor: Tensor) -> float:
        """The norm of d loss / d tensor, as it came in the backward pass."""
        return self.capture.norm(tensor) or 0.0

    def at(self, site: Site) -> StepReading:
        """The same step with one site, whose pooled tokens stand for the loss."""
        own = StepReading.__new__(StepReading)
        own.__dict__.update(self.__dict__)
        own.__dict__.pop("_loss", None)
        own.sites, own._follow_picks = [site], False
        own._ends = [end] if (end := self.flows[id(site)].pooled) is not None else []
        return own

    def again(self, answers: dict[int, Callable[[Tensor], Tensor]]) -> Any:
        """The recorded calls that depend on the answered ones, made again up to the pooled tokens."""
        last = max((end.number for end in self._ends), default=self.root_call)
        picks = [
            c.number
            for c in self.watch.calls[: last if self._follow_picks else 0]
            if _picks(c) and not any(self.graph.depends(c.number, number) for number in answers)
        ]
        found = self.replay.again(answers, last, picks)
        return Remade([_with_result(c, found[c.number]) if c.number in found else c for c in self.watch.calls])

    def ends(self, watched: Any = None) -> list[Tensor]:
        """The pooled tokens of every site, as they come when the calls are made again."""
        watched = watched or self._unchanged()
        return [watched.calls[end.number].tensors[0].detach() for end in self._ends]

    def loss(self, watched: Any = None) -> Tensor | None:
        """What the loss does, to first order, when the pooled tokens change."""
        watched = watched or self._unchanged()
        parts = []
        for end in self._ends:
            slope = self.gradient(end.tensors[0])
            if slope is not None and slope.shape == end.tensors[0].shape:
                parts.append((watched.calls[end.number].tensors[0].double() * slope.double()).sum())
        return torch.stack(parts).sum() if parts else None

    def _unchanged(self) -> Any:
        return self.again({s.decision_call.number: _same for s in self.sites if s.decision_call is not None})


def _same(value: Tensor) -> Tensor:
    return value


def _not_again() -> Any:
    raise RuntimeError("a step of training is not made again")


def _picks(call: Call) -> bool:
    """Whether tokens are picked by positions."""
    if call.name not in PICKS or not call.tensors or call.tensors[0].dim() != 3:
        return False
    return call.tensors[0].is_floating_point() and any(not t.is_floating_point() for t in call.read)


def _with_result(call: Call, tensors: list[Tensor]) -> Call:
    made = Call(**{**call.__dict__, "result": tensors[0] if len(tensors) == 1 else tuple(tensors)})
    if call.name == "__setitem__":
        made.args = (tensors[0], *call.args[1:])
    return made


class StepPasses(Passes):
    """What the laws of a call ask of a subject's passes, answered from one step."""

    def __init__(self, module: nn.Module, reading: StepReading, masks: dict[int, SoftMask]):
        super().__init__(Subject("the model", module, lambda seed: ([], {}), module))
        self._reading, self._masks = reading, masks
        self._found: dict[int, float | None] = {}

    def read(self, reading: StepReading) -> None:
        """From here on, `reading()` is this one: the step as a whole, or at one of its sites."""
        self._reading = reading

    def reading(self, seed: int = 0, *, training: bool = True, same: bool = False) -> Reading:
        """The step."""
        return self._reading

    def mask(self, site: Site) -> SoftMask:
        """What was read off D before the backward pass freed its graph."""
        return self._masks.get(id(site), SoftMask("none"))

    def gain(self, reading: Reading, site: Site) -> float | None:
        """How many times too much D's gradient says."""
        if id(site) not in self._found:
            own = self._reading.at(site)
            try:
                self._found[id(site)] = gain_of(removal(own, site))
            except Exception:  # what cannot be made again is not measured
                self._found[id(site)] = None
        return self._found[id(site)]
