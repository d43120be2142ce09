"""Faults of the whole model: parts that nobody trains, and gradients without a bound."""

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.selftest.planted.baseline import Plain, fault
from sdtps_ref.properties.selftest.planted.multimodal_baseline import Model


@fault(expected_law="training.everything_is_trained")
class PredictionDropped(Plain):
    """The score network is called and its prediction left out of the score."""

    def combine(self, predicted: Tensor, relevances: list[Tensor]) -> Tensor:
        return 0.25 * (sum(relevances) + relevances[0])


@fault(expected_law="training.everything_is_trained")
class PredictionTimesZero(Plain):
    """beta = 0.5 leaves the prediction a weight of zero: its gradient is there, and zero."""

    def combine(self, predicted: Tensor, relevances: list[Tensor]) -> Tensor:
        return 0.0 * predicted + 0.5 * (sum(relevances) + relevances[0])


@fault(expected_law="training.everything_is_trained")
class ScoreUnderNoGrad(Plain):
    """The model scores its tokens under no_grad, "since topk has no gradient anyway"."""

    def run_model(self, tokens: Tensor, feature: Tensor, model: Model) -> Any:
        with torch.no_grad():
            score = self.score(tokens, model.predictor, [feature, tokens.mean(dim=1)])
        return model.pipeline(tokens, score)


@fault(expected_law="training.everything_is_trained")
class ModelAggregatesWithoutDecision(Plain):
    """The model pools without D, and returns D and the score, which hide it from a look at all outputs."""

    def run_model(self, tokens: Tensor, feature: Tensor, model: Model) -> Any:
        score = self.score(tokens, model.predictor, [feature, tokens.mean(dim=1)])
        selection = model.pipeline.select(tokens, score)
        return {"tokens": model.pipeline.pool(selection.selected_tokens), "score": score, "mask": selection.decision}


@fault(expected_law="training.everything_is_trained")
class ScoreNetworkInAList(Plain):
    """The score network is hidden in a plain list: no optimiser is told of it."""

    def score_network(self, dim: int) -> Any:
        hidden = [super().score_network(dim)]
        return lambda tokens: hidden[0](tokens)


@fault(expected_law="training.everything_is_trained")
class FeatureIgnored(Plain):
    """The guiding feature is taken and never looked at: each token is compared with the mean token only."""

    def run_model(self, tokens: Tensor, feature: Tensor, model: Model) -> Any:
        return model.pipeline(tokens, self.score(tokens, model.predictor, [tokens.mean(dim=1)]))


@fault(expected_law="training.gradient_stays_bounded")
class TinyEpsilon(Plain):
    """Min-max with an epsilon of 1e-8, as published."""

    def min_max(self, rows: Tensor) -> Tensor:
        low, high = rows.amin(-1, keepdim=True), rows.amax(-1, keepdim=True)
        return (rows - low) / (high - low + 1e-8)


@fault(expected_law="training.gradient_stays_finite")
class NoEpsilon(Plain):
    """Min-max without any epsilon."""

    def min_max(self, rows: Tensor) -> Tensor:
        low, high = rows.amin(-1, keepdim=True), rows.amax(-1, keepdim=True)
        return (rows - low) / (high - low)


@fault(expected_law="training.gradient_stays_finite")
class BareStandardDeviation(Plain):
    """A z-score over the tokens, by a bare standard deviation."""

    def min_max(self, rows: Tensor) -> Tensor:
        return (rows - rows.mean(-1, keepdim=True)) / rows.std(-1, keepdim=True)


@fault(expected_law="training.gradient_stays_finite")
class BareNorm(Plain):
    """Cosines by a norm written out, whose square root has no slope at a zero token."""

    def relevance(self, tokens: Tensor, feature: Tensor) -> Tensor:
        length = (tokens**2).sum(-1).sqrt() + 1e-6
        return self.min_max((tokens @ feature.unsqueeze(-1)).squeeze(-1) / length / feature.norm(dim=-1, keepdim=True))
