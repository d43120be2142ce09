"""What should have nothing to do with each other."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.selftest.planted.baseline import Aggregator, Pipeline, Plain, Selector, fault
from sdtps_ref.properties.selftest.planted.multimodal_baseline import Modalities
from sdtps_ref.properties.selftest.planted.ordinary_calls import ordinary
from sdtps_ref.properties.selftest.planted.selection_result import SelectionResult


class InTheOrderGiven(Modalities):
    """Takes the mapping's values for the modalities' tokens, in their order."""

    def forward(self, tokens: Mapping[str, Tensor], features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """tokens: {name: B N C}; features: {name: B C}."""
        return super().forward(dict(zip(self.names, tokens.values(), strict=False)), features)


@fault(expected_law="independence.order_of_the_mapping")
class TokensInTheOrderOfTheMapping(Plain):
    """Pairs the modalities' names with tokens.values(): a mapping in another order gives them each other's tokens."""

    def multimodal(self, *, modalities: tuple[str, ...], **sizes: Any) -> Modalities:
        return InTheOrderGiven(self, modalities, **sizes)


class IntoABuffer(Aggregator):
    """Without gradients it writes its result where the last one of that size was."""

    def __init__(self, steps: Plain, dim: int, slots: int):
        super().__init__(steps, dim, slots)
        self.results: dict[Any, Tensor] = {}

    def forward(self, tokens: Tensor, decision: Tensor | None = None) -> Tensor:
        """tokens: B K C; decision: B K."""
        pooled = super().forward(tokens, decision)
        if torch.is_grad_enabled() or not ordinary(pooled):
            return pooled
        key = pooled.shape, pooled.dtype, pooled.device, torch.is_inference_mode_enabled()
        return self.results.setdefault(key, torch.empty_like(pooled)).copy_(pooled)


@fault(expected_law="independence.results_are_the_callers")
class OutputBufferReused(Plain):
    """At inference all results of a size share their memory: the second call overwrites what the first returned."""

    def aggregator(self, *, dim: int, slots: int) -> Aggregator:
        return IntoABuffer(self, dim, slots)

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Any:
        return Pipeline(self, Selector(self, keep, tau), IntoABuffer(self, dim, slots))


@fault(expected_law="independence.what_is_passed_in")
class FeaturesNormalisedInTheMapping(Plain):
    """Puts unit features back into the caller's mapping: min-max forgets their length, the caller finds others."""

    def guides(self, name: str, features: Mapping[str, Tensor]) -> list[Tensor]:
        if isinstance(features, dict):
            features[name] = nn.functional.normalize(features[name], dim=-1)
        return super().guides(name, features)


@fault(expected_law="independence.tokens_of_other_modalities")
class ScoresCentredOverTheModalities(Plain):
    """Takes the modalities' mean off every score, along the wrong dimension: each is ranked by the others' tokens."""

    def select_each(
        self, selectors: Mapping[str, nn.Module], tokens: Mapping[str, Tensor], scores: Mapping[str, Tensor]
    ) -> dict[str, SelectionResult]:
        mean = torch.stack(list(scores.values())).mean(0)
        return super().select_each(selectors, tokens, {name: score - mean for name, score in scores.items()})


@fault(expected_law="independence.incoming_gradients_are_left_alone")
class BackwardWritesIntoItsGradient(Plain):
    """D's soft half has a backward pass of its own, which subtracts in place."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        return _HardForward.apply(soft, hard) if ordinary(soft) else super().join(hard, soft)


class _HardForward(torch.autograd.Function):
    """The hard mask, with the soft one's gradient, less its mean, which a softmax does not see."""

    @staticmethod
    def forward(ctx: Any, soft: Tensor, hard: Tensor) -> Tensor:
        """Both B N."""
        return hard.clone()

    @staticmethod
    def backward(ctx: Any, *reached: Tensor) -> Any:
        """The same to the score: a softmax takes the mean away."""
        return reached[0].sub_(reached[0].mean(-1, keepdim=True)), None
