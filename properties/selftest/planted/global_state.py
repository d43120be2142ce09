"""Faults of a guest: what a call changes for everybody."""

import random
import threading

import torch
from torch import Tensor

from sdtps_ref.properties.selftest.planted.baseline import Plain, fault


@fault(expected_law="runtime.leaves_torch_alone")
class SetsTheDefaultDtype(Plain):
    """Draws in float64 by making it everybody's dtype."""

    def noise(self, score: Tensor) -> Tensor:
        torch.set_default_dtype(torch.float64)
        return super().noise(score)


@fault(expected_law="runtime.leaves_torch_alone")
class ReplacesAFunctionOfTorch(Plain):
    """A softmax of its own in the place of torch's."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        torch.softmax = _softmax  # type: ignore[assignment]
        return super().soft(score, noise, tau, keep)


@fault(expected_law="runtime.leaves_torch_alone")
class ThreadForEveryCall(Plain):
    """Starts a thread in each call, and never ends it."""

    def weights(self, logits: Tensor) -> Tensor:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        return super().weights(logits)


def _softmax(values: Tensor, dim: int) -> Tensor:
    return values.softmax(dim)


@fault(expected_law="runtime.leaves_the_process_alone")
class AlwaysTheSameSeedForPython(Plain):
    """random.seed(0) in every call, so that "runs are comparable": a second call changes nothing any more."""

    def noise(self, score: Tensor) -> Tensor:
        random.seed(0)
        return super().noise(score)


@fault(expected_law="runtime.leaves_the_process_alone")
class InferenceForGood(Plain):
    """Gradients off by hand around the ranking: a topk that fails leaves them off for the whole program."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        enabled = torch.is_grad_enabled()
        torch.set_grad_enabled(False)
        indices = score.sort(dim=-1, descending=True).indices[..., :keep].sort(dim=-1).values
        torch.set_grad_enabled(enabled)
        return indices
