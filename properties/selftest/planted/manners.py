"""What a call leaves changed for everybody else."""

from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.selftest.planted.baseline import Aggregator, Pipeline, Plain, Selector, fault
from sdtps_ref.properties.selftest.planted.ordinary_calls import ordinary
from sdtps_ref.properties.selftest.planted.selection_result import SelectionResult


class SilentSelector(Selector):
    """train() without its return; eval() returns what train() does."""

    def train(self, mode: bool = True) -> None:  # type: ignore[override]
        """Switches."""
        super().train(mode)


class SilentPipeline(Pipeline):
    """train() without its return; eval() returns what train() does."""

    def train(self, mode: bool = True) -> None:  # type: ignore[override]
        """Switches."""
        super().train(mode)


@fault(expected_law="runtime.train_and_eval_return")
class TrainReturnsNothing(Plain):
    """train() was overridden and does not return the module: model = model.eval() is None."""

    def selector(self, *, dim: int, num_tokens: int, keep: int, tau: float) -> Any:
        self.check(num_tokens, keep)
        return SilentSelector(self, keep, tau)

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Any:
        return SilentPipeline(self, Selector(self, keep, tau), Aggregator(self, dim, slots))


@fault(expected_law="runtime.leaves_the_process_alone")
class MatmulPrecisionLowered(Plain):
    """torch.set_float32_matmul_precision("high") in the forward pass: from then on for all of the program."""

    def weights(self, logits: Tensor) -> Tensor:
        if ordinary(logits):
            torch.set_float32_matmul_precision("high")
        return super().weights(logits)


@fault(expected_law="independence.what_is_passed_in")
class ScoreAskedForItsGradient(Plain):
    """requires_grad_() on the score in train mode, "so that D has a gradient": the caller's own tensor is changed."""

    def select(self, tokens: Tensor, score: Tensor, keep: int, tau: float, training: bool) -> SelectionResult:
        if training and torch.is_grad_enabled() and score.is_leaf and ordinary(score) and not score.is_inference():
            score.requires_grad_()
        return super().select(tokens, score, keep, tau, training)


@fault(expected_law="runtime.leaves_the_process_alone")
class CudnnBenchmarkSwitchedOn(Plain):
    """torch.backends.cudnn.benchmark = True in the forward pass, for a speed that it has no part in."""

    def logits(self, tokens: Tensor, layers: nn.Module, scale: Tensor) -> Tensor:
        if ordinary(tokens):
            torch.backends.cudnn.benchmark = True
        return super().logits(tokens, layers, scale)
