"""Faults of shape, decision and selection."""

import torch
from torch import Tensor

from sdtps_ref.properties.contract import Selection
from sdtps_ref.properties.planted.plain import Plain, fault


@fault(kills="shape.follows_inputs")
class DecisionInFloat32(Plain):
    """The hard mask is made without the score's dtype."""

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        return torch.zeros(score.shape).scatter(-1, indices, 1.0)


@fault(kills="shape.follows_inputs")
class KeepsOneMore(Plain):
    """K off by one."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        return torch.topk(score, min(keep + 1, score.shape[-1]), dim=-1).indices


@fault(kills="decision.forward_is_hard")
class NoParentheses(Plain):
    """hard + soft - sg(soft), added from the left."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        return hard + soft - soft.detach()


@fault(kills="decision.forward_is_hard")
class SoftForward(Plain):
    """The soft mask in the forward pass."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        return soft


@fault(kills="decision.forward_is_hard")
class OneTooManyInDecision(Plain):
    """D marks K + 1 tokens, of which K are gathered."""

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        more = torch.topk(score, min(indices.shape[-1] + 1, score.shape[-1]), dim=-1).indices
        return torch.zeros_like(score).scatter(-1, more, 1.0)


@fault(kills="decision.keeps_top_k")
class ChoosesByNoisyScore(Plain):
    """Top-K of score plus noise."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        return torch.topk(score + noise, keep, dim=-1).indices


@fault(kills="decision.keeps_top_k")
class KeepsLowest(Plain):
    """An ascending sort."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        return score.argsort(dim=-1)[:, :keep]


@fault(kills="selection.gathers_kept_tokens")
class ReshapeForGather(Plain):
    """The first K tokens, as if they had been sorted."""

    def gather(self, tokens: Tensor, indices: Tensor) -> Tensor:
        return tokens[:, : indices.shape[-1]]


@fault(kills="selection.gathers_kept_tokens")
class FlatIndices(Plain):
    """Indices of a sample used on the flattened batch: every sample gets the first one's tokens."""

    def gather(self, tokens: Tensor, indices: Tensor) -> Tensor:
        return tokens.flatten(0, 1)[indices]


@fault(kills="selection.decision_is_aligned")
class DecisionInOrderOfPosition(Plain):
    """Tokens by score, D by position."""

    def selected(self, decision: Tensor, indices: Tensor) -> Tensor:
        return decision.gather(-1, indices.sort(dim=-1).values)

    def wire(self, selection: Selection, aggregate):  # type: ignore[no-untyped-def]
        return aggregate(selection.selected_tokens, selection.decision.gather(-1, selection.keep_indices))


@fault(kills="gradient.reaches_score")
class HardOnly(Plain):
    """No straight-through path."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        return hard


@fault(kills="gradient.reaches_score")
class SoftMaskOfTheKept(Plain):
    """The softmax runs over the kept tokens only: the dropped are never trained."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        kept = self.hard(score, self.choose(score, noise, keep)) > 0.5
        return torch.softmax(((score + noise) / tau).masked_fill(~kept, -torch.inf), dim=-1)
