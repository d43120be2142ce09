"""Gradients that nobody reads; the forward pass is right."""

import torch
from torch import Tensor, nn

from sdtps_ref.properties.selftest.planted.baseline import Plain, fault


@fault(expected_law="gradient.is_the_derivative")
class LogitsOfDetachedTokens(Plain):
    """The MLP sees detached tokens: they learn as values, and not from how they are weighed."""

    def logits(self, tokens: Tensor, layers: nn.Module, scale: Tensor) -> Tensor:
        return super().logits(tokens.detach(), layers, scale)


@fault(expected_law="gradient.is_the_derivative")
class ScaleReadThroughData(Plain):
    """The learned scale is read as scale.data: it is a parameter, and it never learns."""

    def logits(self, tokens: Tensor, layers: nn.Module, scale: Tensor) -> Tensor:
        return super().logits(tokens, layers, scale.data)


@fault(expected_law="models.score_is_differentiated")
class RangeDetached(Plain):
    """Min-max takes least and greatest for constants: the gradient of the relevance lacks its way through them."""

    def min_max(self, rows: Tensor) -> Tensor:
        low, high = rows.detach().min(-1, keepdim=True).values, rows.detach().max(-1, keepdim=True).values
        return (rows - low) / (high - low).clamp(min=1e-3)


@fault(expected_law="gradient.parameters_learn_from_frozen_tokens")
class GraphForTheTokensAlone(Plain):
    """The logits are differentiated only where the tokens are: with a frozen backbone the MLP learns nothing."""

    def logits(self, tokens: Tensor, layers: nn.Module, scale: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and tokens.requires_grad):
            return super().logits(tokens, layers, scale)
