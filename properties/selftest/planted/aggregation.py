"""Faults of the aggregation and of the wiring."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.selftest.planted.baseline import Plain, fault
from sdtps_ref.properties.selftest.planted.selection_result import SelectionResult


class Subtracting(Plain):
    """Right, with the published mask."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        return logits - (1 - decision.unsqueeze(1)) * 1e10


@fault(expected_law="gradient.well_conditioned")
class PublishedMask(Subtracting):
    """Not wrong, but its gain is 1e10: what the warning is for."""


@fault(expected_law="aggregation.unchanged_when_decision_is_one")
class DecisionTimesLogits(Plain):
    """D doubles the logits it keeps."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        return super().mask(logits, decision) * (1 + decision.unsqueeze(1))


@fault(expected_law="aggregation.ignores_dropped_tokens")
class MaskWithTheWrongSign(Plain):
    """+ (1 - D) * 1e10: the dropped tokens win."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        return logits + (1 - decision.unsqueeze(1)) * 1e10


@fault(expected_law="aggregation.ignores_dropped_tokens")
class WeakMask(Plain):
    """D times the logits: a dropped token keeps the weight exp(0)."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        return logits * decision.unsqueeze(1)


@fault(expected_law="aggregation.is_convex")
class SoftmaxOverSlots(Plain):
    """dim=1: the slots compete for each token."""

    def weights(self, logits: Tensor) -> Tensor:
        return logits.softmax(1).nan_to_num()


@fault(expected_law="aggregation.equals_gather_first")
class MeanOverAllTokens(Plain):
    """Divided by the number of tokens, masked ones included."""

    def aggregate(self, tokens: Tensor, decision: Tensor | None, layers: nn.Module, scale: Tensor) -> Tensor:
        return super().aggregate(tokens, decision, layers, scale) / tokens.shape[1]


@fault(expected_law="shape.follows_inputs")
class ReshapeForTranspose(Plain):
    """B K M comes out where B M C belongs: the product is transposed."""

    def aggregate(self, tokens: Tensor, decision: Tensor | None, layers: nn.Module, scale: Tensor) -> Tensor:
        return super().aggregate(tokens, decision, layers, scale).transpose(1, 2)


@fault(expected_law="aggregation.equals_gather_first")
class ReshapeOfTheLogits(Plain):
    """reshape where a transpose belongs: right sizes, logits of other slots and tokens."""

    def logits(self, tokens: Tensor, layers: nn.Module, scale: Tensor) -> Tensor:
        scored = layers(tokens) * scale  # B K M
        return scored.reshape(scored.shape[0], scored.shape[2], scored.shape[1])


@fault(expected_law="gradient.is_the_derivative")
class ZeroTokensArePadding(Plain):
    """A token of zeros is taken for padding and gets no weight, though D keeps it."""

    def aggregate(self, tokens: Tensor, decision: Tensor | None, layers: nn.Module, scale: Tensor) -> Tensor:
        logits = self.logits(tokens, layers, scale)
        if decision is not None:
            logits = self.mask(logits, decision)
        padded = (tokens == 0).all(-1)
        return self.weights(logits.masked_fill(padded.unsqueeze(1), -1e9)) @ tokens


class Softmax(torch.autograd.Function):
    """A softmax over the last axis, whose backward pass has forgotten what its output was made of."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        """logits: B M K."""
        ctx.weights = logits.softmax(-1)
        return ctx.weights.clone()

    @staticmethod
    def backward(ctx: Any, *reached: Tensor) -> Tensor:
        """Right, as a first derivative."""
        return ctx.weights * (reached[0] - (ctx.weights * reached[0]).sum(-1, keepdim=True))


@fault(expected_law="gradient.second_derivative_is_right")
class BackwardOfItsOwnIsNotDifferentiable(Plain):
    """The softmax has a backward pass by hand that works on saved values: right once, not twice."""

    def weights(self, logits: Tensor) -> Tensor:
        return Softmax.apply(logits)


@fault(expected_law="gradient.follows_temperature")
class PipelineForgetsTheTemperature(Plain):
    """The selector takes tau; the model builds one without it."""

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Any:
        return super().pipeline(dim=dim, num_tokens=num_tokens, keep=keep, slots=slots, tau=1.0)


@fault(expected_law="gradient.gain_is_the_aggregators")
class DecisionForOneOfTwo(Plain):
    """Two aggregations are averaged, and D goes into the first only."""

    def wire(self, selection: SelectionResult, aggregate: Callable[..., Tensor]) -> Tensor:
        with_decision = super().wire(selection, aggregate)
        return (with_decision + aggregate(selection.selected_tokens, None)) / 2


@fault(expected_law="gradient.reaches_score")
class DecisionNotPassedOn(Plain):
    """The pipeline aggregates without D."""

    def wire(self, selection: SelectionResult, aggregate):  # type: ignore[no-untyped-def]
        return aggregate(selection.selected_tokens, None)


@fault(expected_law="gradient.reaches_score")
class DecisionDetached(Plain):
    """The pipeline passes D on without its gradient."""

    def wire(self, selection: SelectionResult, aggregate):  # type: ignore[no-untyped-def]
        return aggregate(selection.selected_tokens, selection.selected_decision.detach())


@fault(expected_law="gradient.matches_closed_form")
class WiredInOrderOfPosition(Plain):
    """The pipeline pairs tokens in order of score with D in order of position."""

    def wire(self, selection: SelectionResult, aggregate):  # type: ignore[no-untyped-def]
        by_position = selection.keep_indices.sort(dim=-1).values
        return aggregate(selection.selected_tokens, selection.decision.gather(-1, by_position))


@fault(expected_law="gradient.reaches_score")
class DecisionMasksTwice(Plain):
    """D masks the softmax and multiplies the pooled tokens' weights once more."""

    def aggregate(self, tokens: Tensor, decision: Tensor | None, layers: nn.Module, scale: Tensor) -> Tensor:
        pooled = super().aggregate(tokens, decision, layers, scale)
        return pooled if decision is None else pooled * decision.mean(dim=-1)[:, None, None]


@fault(expected_law="gradient.reaches_score")
class DecisionGatesTheTokens(Plain):
    """D multiplies the tokens, not the softmax's mask."""

    def wire(self, selection: SelectionResult, aggregate):  # type: ignore[no-untyped-def]
        gated = selection.selected_tokens * selection.selected_decision.unsqueeze(-1)
        return aggregate(gated, None)


@fault(expected_law="decision.backward_is_softmax")
class GradientOfTheWrongSign(Plain):
    """hard - (soft - sg(soft))."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        return hard - (soft - soft.detach())


@fault(expected_law="aggregation.is_convex")
class WeightsNotRenormalised(Plain):
    """softmax, then times D: what the dropped tokens had is lost."""

    def aggregate(self, tokens: Tensor, decision: Tensor | None, layers: nn.Module, scale: Tensor) -> Tensor:
        weights = self.weights(self.logits(tokens, layers, scale))
        return (weights if decision is None else weights * decision.unsqueeze(1)) @ tokens


@fault(expected_law="aggregation.is_convex")
class SigmoidWeights(Plain):
    """Each weight by itself: rows sum to anything."""

    def weights(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()


@fault(expected_law="aggregation.permutation_invariant")
class LogitsByPosition(Plain):
    """A positional term in the logits."""

    def logits(self, tokens: Tensor, layers: nn.Module, scale: Tensor) -> Tensor:
        return super().logits(tokens, layers, scale) + 0.1 * torch.arange(tokens.shape[1]).to(tokens)


@fault(expected_law="aggregation.permutation_invariant")
class LogitsByOrderAmongTheKept(Plain):
    """The first kept token weighs least, wherever it stands: gathering first gives the same."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        return super().mask(logits, decision) + 0.1 * decision.detach().cumsum(-1).unsqueeze(1)


@fault(expected_law="aggregation.decision_gradient_is_one_gain")
class GainOfItsOwnForEverySlot(Plain):
    """The log mask, times a weight a slot: forward log 1 is 0 all the same."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        gains = 1.0 + torch.arange(logits.shape[1]).to(logits)
        kept = decision > 0
        log_decision = torch.where(kept, torch.where(kept, decision, 1.0).log(), -torch.inf)
        return logits + torch.where(kept.unsqueeze(1), gains[:, None] * log_decision.unsqueeze(1), -torch.inf)


@fault(expected_law="aggregation.decision_gradient_is_one_gain")
class FirstSlotUnmasked(Plain):
    """A head was left out: its slot gets the hard mask and no gradient."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        first, rest = logits[:, :1], logits[:, 1:]
        return torch.cat([super().mask(first, decision.detach()), super().mask(rest, decision)], dim=1)


@fault(expected_law="aggregation.decision_gradient_is_one_gain")
class BooleanMask(Plain):
    """masked_fill by D == 0: right forward, and D gets no gradient at all."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        return logits.masked_fill((decision < 0.5).unsqueeze(1), -torch.inf)


@fault(expected_law="aggregation.decision_gradient_is_one_gain")
class GainByToken(Plain):
    """log D is scaled by the token's place in the row."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        places = torch.linspace(0.5, 2.0, decision.shape[-1]).to(decision)
        kept = decision > 0
        log_decision = torch.where(kept, torch.where(kept, decision, 1.0).log() * places, -torch.inf)
        return logits + log_decision.unsqueeze(1)


@fault(expected_law="aggregation.decision_gradient_is_one_gain")
class PenaltyWithTheWrongSign(Plain):
    """(D - 1) * D: zero forward at 0 and 1, rising past it, subtracted from the logits that -inf masks already."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        hard = super().mask(logits, decision.detach())
        return hard - ((decision - 1) * decision).unsqueeze(1)


@fault(expected_law="aggregation.finite_in_half")
class MaskOfATensor(Plain):
    """1e10 made with the dtype of the logits: infinite in float16, and times zero NaN."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        return logits - (1 - decision.unsqueeze(1)) * torch.full((1,), 1e10).to(logits.dtype)  # 2.4 fills no half so


@fault(expected_law="aggregation.finite_in_half")
class ExponentialsAsTheyAre(Plain):
    """Sharp logits, and exp without subtracting the largest: float16 ends at exp(11)."""

    def logits(self, tokens: Tensor, layers: nn.Module, scale: Tensor) -> Tensor:
        return 20 * super().logits(tokens, layers, scale)

    def weights(self, logits: Tensor) -> Tensor:
        exponentials = logits.exp()
        return exponentials / exponentials.sum(-1, keepdim=True)


@fault(expected_law="aggregation.gradient_equals_gather_first")
class BooleanWhereThereAreZeros(Plain):
    """Right for a D of ones; one with zeros in it becomes a boolean, and gets no gradient."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        if (decision == 0).any():
            return logits.masked_fill(decision.unsqueeze(1) == 0, -torch.inf)
        return super().mask(logits, decision)


@fault(expected_law="aggregation.gradient_equals_gather_first")
class LogOfZeros(Plain):
    """log(D) of zeros, taken back by `where`: right forward, NaN backward."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        wide = decision.unsqueeze(1)
        return torch.where(wide > 0, logits + wide.log(), -torch.inf)


@fault(expected_law="aggregation.gradient_equals_gather_first")
class DroppedTokensLeadToTheirMean(Plain):
    """Adds nothing to the output, and a gradient to every token that was dropped."""

    def aggregate(self, tokens: Tensor, decision: Tensor | None, layers: nn.Module, scale: Tensor) -> Tensor:
        pooled = super().aggregate(tokens, decision, layers, scale)
        if decision is None:
            return pooled
        dropped = (tokens * (1 - decision.detach()).unsqueeze(-1)).mean(1, keepdim=True)
        return pooled + (dropped - dropped.detach())
