"""Faults that show where the batch is divided among processes."""

import torch
from torch import Tensor, nn

from sdtps_ref.properties.selftest.planted.baseline import Plain, fault


@fault(expected_law="distributed.gradient_equals_single_process")
class ScoreScaledByTheBatch(Plain):
    """The model divides its score by the deviation over the whole batch."""

    def score(self, tokens: Tensor, predictor: nn.Module, features: list[Tensor]) -> Tensor:
        score = super().score(tokens, predictor, features)
        return score / (0.1 + score.std())


@fault(expected_law="distributed.gradient_equals_single_process")
class ScoreSentToAll(Plain):
    """Among processes the score is taken from the first one, and comes back without its gradient."""

    def score(self, tokens: Tensor, predictor: nn.Module, features: list[Tensor]) -> Tensor:
        score = super().score(tokens, predictor, features)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            score = score.detach().clone()
            torch.distributed.broadcast(score, src=0)
        return score
