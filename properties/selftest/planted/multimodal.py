"""Faults of the multi-modal form."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.selftest.planted.baseline import Plain, fault
from sdtps_ref.properties.selftest.planted.multimodal_baseline import Modalities
from sdtps_ref.properties.selftest.planted.selection_result import SelectionResult


@fault(expected_law="multimodal.shape_follows_inputs")
class NamesInTheCode(Plain):
    """Three modalities, whatever is asked for."""

    def multimodal(self, *, modalities: tuple[str, ...], **sizes: Any) -> Any:
        return super().multimodal(modalities=modalities[:3], **sizes)


@fault(expected_law="multimodal.shape_follows_inputs")
class NoExtraTokenWhereNothingIsDropped(Plain):
    """The extra token is appended only where there is something to put into it."""

    def finish(self, name: str, slots: Tensor, selections: Mapping[str, SelectionResult]) -> Tensor:
        return slots if selections[name].decision.all() else super().finish(name, slots, selections)


@fault(expected_law="multimodal.decision_reaches_own_aggregator")
class ModalitiesWithoutDecision(Plain):
    """The aggregators of the modalities get no D; the extra token hides it."""

    def wire_modality(
        self, name: str, selections: Mapping[str, SelectionResult], pool: Callable[..., Tensor]
    ) -> Tensor:
        return pool(selections[name].selected_tokens, None)


@fault(expected_law="multimodal.decision_reaches_own_aggregator")
class LastModalityWithoutDecision(Plain):
    """One of three was forgotten."""

    def wire_modality(
        self, name: str, selections: Mapping[str, SelectionResult], pool: Callable[..., Tensor]
    ) -> Tensor:
        decision = selections[name].selected_decision
        return pool(selections[name].selected_tokens, decision.detach() if name == "tir" else decision)


@fault(expected_law="multimodal.decision_reaches_own_aggregator")
class DecisionOfTheLastModality(Plain):
    """A variable of the first loop is used in the second: everybody is masked by the last one's D."""

    def wire_modality(
        self, name: str, selections: Mapping[str, SelectionResult], pool: Callable[..., Tensor]
    ) -> Tensor:
        last = list(selections.values())[-1]
        return pool(selections[name].selected_tokens, last.selected_decision)


@fault(expected_law="multimodal.extra_token_is_own")
class ExtraTokenOfTheLastModality(Plain):
    """The variable that the loop left behind is appended to everybody's slots."""

    def finish(self, name: str, slots: Tensor, selections: Mapping[str, SelectionResult]) -> Tensor:
        return super().finish(list(selections)[-1], slots, selections)


@fault(expected_law="multimodal.extra_token_is_own")
class ExtraTokenOfAllModalities(Plain):
    """One extra token for everybody: the mean of them all."""

    def finish(self, name: str, slots: Tensor, selections: Mapping[str, SelectionResult]) -> Tensor:
        extras = torch.stack([selection.extra_token for selection in selections.values()])
        return torch.cat([slots, extras.mean(dim=0)], dim=1)


@fault(expected_law="multimodal.extra_token_is_own")
class ModalitiesWithAZeroExtraToken(Plain):
    """Slot M + 1 is there for the shape, and nothing is put into it."""

    def finish(self, name: str, slots: Tensor, selections: Mapping[str, SelectionResult]) -> Tensor:
        return torch.cat([slots, torch.zeros_like(slots[:, :1])], dim=1)


@fault(expected_law="multimodal.extra_token_is_own")
class ExtraTokenOfTheKeptOfItsModality(Plain):
    """The tokens that were at hand are averaged: those that the slots have already."""

    def finish(self, name: str, slots: Tensor, selections: Mapping[str, SelectionResult]) -> Tensor:
        return torch.cat([slots, selections[name].selected_tokens.mean(dim=1, keepdim=True)], dim=1)


@fault(expected_law="multimodal.guidance_reaches_others")
class OwnGuidanceOnly(Plain):
    """Each modality is scored against its own feature alone."""

    def guides(self, name: str, features: Mapping[str, Tensor]) -> list[Tensor]:
        return [features[name]]


@fault(expected_law="multimodal.guidance_reaches_others")
class GuidanceDetached(Plain):
    """The others' features guide, and are not taught to."""

    def guides(self, name: str, features: Mapping[str, Tensor]) -> list[Tensor]:
        own, *others = super().guides(name, features)
        return [own, *(other.detach() for other in others)]


@fault(expected_law="symmetry.batch_independent")
class StretchedOverTheBatch(Plain):
    """The least and the greatest relevance are those of the whole batch."""

    def min_max(self, rows: Tensor) -> Tensor:
        return (rows - rows.min()) / (rows.max() - rows.min()).clamp(min=1e-3)


@fault(expected_law="multimodal.noise_is_not_shared")
class OneNoiseForAllModalities(Plain):
    """Every branch starts from the same state of the generator."""

    def select_each(
        self, selectors: Mapping[str, nn.Module], tokens: Mapping[str, Tensor], scores: Mapping[str, Tensor]
    ) -> dict[str, SelectionResult]:
        start = torch.get_rng_state()
        found: dict[str, SelectionResult] = {}
        for name in selectors:
            torch.set_rng_state(start)
            found |= super().select_each({name: selectors[name]}, tokens, scores)
        return found


@fault(expected_law="multimodal.noise_is_absent_in_eval")
class SelectorsOutOfReach(Plain):
    """The modalities' selectors lie in a plain list: `eval()` does not reach them."""

    def multimodal(self, *, modalities: tuple[str, ...], **sizes: Any) -> Modalities:
        made = super().multimodal(modalities=modalities, **sizes)
        selectors = list(made.selectors)
        del made.selectors
        made.selectors = selectors  # type: ignore[assignment]
        return made
