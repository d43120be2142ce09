"""One stage of an implementation, or a call, with the inputs that it is timed on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.benchmarks.workloads.sizes import Size
from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.contract import CALL

MODES = ("forward", "backward", "forward+backward")
MODALITIES = ("rgb", "nir", "tir")


@dataclass(frozen=True)
class Inputs:
    """One call's inputs. `leaves` are those of them that a gradient is asked for; a cotangent for each output."""

    arguments: tuple[Any, ...]
    leaves: tuple[Tensor, ...]
    cotangents: tuple[Tensor, ...]


@dataclass(frozen=True)
class Workload:
    """One stage of an implementation in train mode with its inputs, in one dtype on one device.

    Outputs, by stage: selected tokens and D; pooled tokens; pooled tokens; pooled tokens of each modality; of a call
    all that it returns.
    """

    name: str
    stage: str
    size: Size
    dtype: str
    device: str
    built: Callable[..., Any]
    parameters: tuple[Tensor, ...]
    inputs: tuple[Inputs, ...]

    def forward(self, turn: int = 0) -> tuple[Tensor, ...]:
        """The outputs for the inputs of that turn, with a graph for the backward pass."""
        result = self.built(*self.inputs[turn % len(self.inputs)].arguments)
        if self.stage == "selection":
            return result.selected_tokens, result.decision
        if self.stage == "multimodal":
            return tuple(result[name] for name in MODALITIES)
        return result if self.stage == CALL else (result,)

    def gradients(self, outputs: tuple[Tensor, ...], turn: int = 0, *, again: bool = False) -> tuple[Any, ...]:
        """Of the outputs times random cotangents: for the inputs, then for every parameter, None for unused ones.

        Random, because the sum of pooled tokens would ask the softmax for nothing. again: keep the graph.
        """
        given = self.inputs[turn % len(self.inputs)]
        sources = [*given.leaves, *self.parameters]
        with_graph = [pair for pair in zip(outputs, given.cotangents, strict=True) if pair[0].requires_grad]
        if not with_graph:
            return (None,) * len(sources)
        ends, cotangents = zip(*with_graph, strict=True)
        return torch.autograd.grad(ends, sources, cotangents, retain_graph=again, allow_unused=True)

    def call(self, mode: str, turn: int = 0) -> Callable[[], None]:
        """The work of a mode on the inputs of that turn, to be called any number of times.

        It only asks a GPU for its work: whoever times it synchronises. It returns nothing, so that freeing
        the results is part of it. "backward" runs the forward pass once, now, and keeps its graph. Raises InvalidInput.
        """
        if mode == "forward":
            return lambda: _drop(self.forward(turn))
        if mode == "forward+backward":
            return lambda: _drop(self.gradients(self.forward(turn), turn))
        if mode == "backward":
            outputs = self.forward(turn)
            return lambda: _drop(self.gradients(outputs, turn, again=True))
        raise InvalidInput.given(f"mode={mode!r}", ", ".join(MODES))

    def calls(self, mode: str) -> list[Callable[[], None]]:
        """A call for each of the inputs, to be rotated."""
        return [self.call(mode, turn) for turn in range(len(self.inputs))]


def _drop(results: Any) -> None:
    """Let go of them."""
