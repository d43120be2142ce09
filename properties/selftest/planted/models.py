"""Whole models."""

from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.selftest.planted.baseline import Plain, fault
from sdtps_ref.properties.selftest.planted.multimodal_baseline import Model

CHUNK = 2  # samples


@fault(expected_law="models.gradient_is_the_derivative")
class ModelPoolsDetachedTokens(Plain):
    """The model scores its tokens and pools detached ones: the backbone learns from the score alone."""

    def run_model(self, tokens: Tensor, feature: Tensor, model: Model) -> Any:
        score = self.score(tokens, model.predictor, [feature, tokens.mean(dim=1)])
        return model.pipeline(tokens.detach(), score)


@fault(expected_law="models.samples_do_not_meet")
class RelevanceToTheMeanFeature(Plain):
    """The model compares each sample's tokens with the mean of the batch's features."""

    def run_model(self, tokens: Tensor, feature: Tensor, model: Model) -> Any:
        return super().run_model(tokens, feature.mean(0, keepdim=True).expand_as(feature), model)


@fault(expected_law="models.score_is_differentiated")
class OnlyTheFirstChunkLearns(Plain):
    """The score network runs on two samples at a time; all but the first two are predicted under no_grad."""

    def predict(self, tokens: Tensor, predictor: nn.Module) -> Tensor:
        first = super().predict(tokens[:CHUNK], predictor)
        with torch.no_grad():
            rest = super().predict(tokens[CHUNK:], predictor)
        return torch.cat([first, rest])
