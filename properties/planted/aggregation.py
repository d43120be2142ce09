"""Faults of the aggregation and of the wiring."""

from torch import Tensor, nn

from sdtps_ref.properties.contract import Selection
from sdtps_ref.properties.planted.plain import Plain, fault


class Subtracting(Plain):
    """Right, with the published mask."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        return logits - (1 - decision.unsqueeze(1)) * 1e10


@fault(kills="gradient.well_conditioned")
class PublishedMask(Subtracting):
    """Not wrong, but its gain is 1e10: what the warning is for."""


@fault(kills="aggregation.unchanged_when_decision_is_one")
class DecisionTimesLogits(Plain):
    """D doubles the logits it keeps."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        return super().mask(logits, decision) * (1 + decision.unsqueeze(1))


@fault(kills="aggregation.ignores_dropped_tokens")
class MaskWithTheWrongSign(Plain):
    """+ (1 - D) * 1e10: the dropped tokens win."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        return logits + (1 - decision.unsqueeze(1)) * 1e10


@fault(kills="aggregation.ignores_dropped_tokens")
class WeakMask(Plain):
    """D times the logits: a dropped token keeps the weight exp(0)."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        return logits * decision.unsqueeze(1)


@fault(kills="aggregation.is_convex")
class SoftmaxOverSlots(Plain):
    """dim=1: the slots compete for each token."""

    def weights(self, logits: Tensor) -> Tensor:
        return logits.softmax(1).nan_to_num()


@fault(kills="aggregation.equals_gather_first")
class MeanOverAllTokens(Plain):
    """Divided by the number of tokens, masked ones included."""

    def aggregate(self, tokens: Tensor, decision: Tensor | None, layers: nn.Module, scale: Tensor) -> Tensor:
        return super().aggregate(tokens, decision, layers, scale) / tokens.shape[1]


@fault(kills="shape.follows_inputs")
class ReshapeForTranspose(Plain):
    """B K M comes out where B M C belongs: the product is transposed."""

    def aggregate(self, tokens: Tensor, decision: Tensor | None, layers: nn.Module, scale: Tensor) -> Tensor:
        return super().aggregate(tokens, decision, layers, scale).transpose(1, 2)


@fault(kills="aggregation.equals_gather_first")
class ReshapeOfTheLogits(Plain):
    """reshape where a transpose belongs: right sizes, logits of other slots and tokens."""

    def logits(self, tokens: Tensor, layers: nn.Module, scale: Tensor) -> Tensor:
        scored = layers(tokens) * scale  # B K M
        return scored.reshape(scored.shape[0], scored.shape[2], scored.shape[1])


@fault(kills="gradient.reaches_score")
class DecisionNotPassedOn(Plain):
    """The pipeline aggregates without D."""

    def wire(self, selection: Selection, aggregate):  # type: ignore[no-untyped-def]
        return aggregate(selection.selected_tokens, None)


@fault(kills="gradient.reaches_score")
class DecisionDetached(Plain):
    """The pipeline passes D on without its gradient."""

    def wire(self, selection: Selection, aggregate):  # type: ignore[no-untyped-def]
        return aggregate(selection.selected_tokens, selection.selected_decision.detach())


@fault(kills="gradient.matches_closed_form")
class WiredInOrderOfPosition(Plain):
    """The pipeline pairs tokens in order of score with D in order of position."""

    def wire(self, selection: Selection, aggregate):  # type: ignore[no-untyped-def]
        by_position = selection.keep_indices.sort(dim=-1).values
        return aggregate(selection.selected_tokens, selection.decision.gather(-1, by_position))


@fault(kills="gradient.reaches_score")
class DecisionMasksTwice(Plain):
    """D masks the softmax and multiplies the pooled tokens' weights once more."""

    def aggregate(self, tokens: Tensor, decision: Tensor | None, layers: nn.Module, scale: Tensor) -> Tensor:
        pooled = super().aggregate(tokens, decision, layers, scale)
        return pooled if decision is None else pooled * decision.mean(dim=-1)[:, None, None]


@fault(kills="gradient.reaches_score")
class DecisionGatesTheTokens(Plain):
    """D multiplies the tokens, not the softmax's mask."""

    def wire(self, selection: Selection, aggregate):  # type: ignore[no-untyped-def]
        gated = selection.selected_tokens * selection.selected_decision.unsqueeze(-1)
        return aggregate(gated, None)


@fault(kills="gradient.matches_closed_form")
class GradientOfTheWrongSign(Plain):
    """hard - (soft - sg(soft))."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        return hard - (soft - soft.detach())
