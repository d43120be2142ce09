"""Faults of shape, decision and selection."""

import math
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.selftest.planted.baseline import Plain, Selector, fault
from sdtps_ref.properties.selftest.planted.selection_result import SelectionResult


@fault(expected_law="shape.follows_inputs")
class DecisionInFloat32(Plain):
    """The hard mask is made without the score's dtype."""

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        return torch.zeros(score.shape).scatter(-1, indices, 1.0)


@fault(expected_law="shape.follows_inputs")
class KeepsOneMore(Plain):
    """K off by one."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        return torch.topk(score, min(keep + 1, score.shape[-1]), dim=-1).indices


@fault(expected_law="decision.forward_is_hard")
class NoParentheses(Plain):
    """hard + soft - sg(soft), added from the left."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        return hard + soft - soft.detach()


@fault(expected_law="decision.forward_is_hard")
class SoftForward(Plain):
    """The soft mask in the forward pass."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        return soft


@fault(expected_law="decision.forward_is_hard")
class OneTooManyInDecision(Plain):
    """D marks K + 1 tokens, of which K are gathered."""

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        more = torch.topk(score, min(indices.shape[-1] + 1, score.shape[-1]), dim=-1).indices
        return torch.zeros_like(score).scatter(-1, more, 1.0)


@fault(expected_law="decision.ignores_noise_forward")
class ChoosesByNoisyScore(Plain):
    """Top-K of score plus noise."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        return torch.topk(score + noise, keep, dim=-1).indices


@fault(expected_law="decision.keeps_top_k")
class KeepsLowest(Plain):
    """An ascending sort."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        return score.argsort(dim=-1)[:, :keep]


@fault(expected_law="shape.follows_inputs")
class KeepThroughItsRatio(Plain):
    """K is kept as a ratio of N and computed from it again: int(22 * (15 / 22)) is 14."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        N = score.shape[-1]
        return super().choose(score, noise, max(1, int(N * (keep / N))))


@fault(expected_law="decision.forward_is_hard")
class PositionsInHalf(Plain):
    """Positions have the dtype of the score: bfloat16 counts to 256, and then two places are one."""

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        positions = torch.arange(score.shape[-1], device=score.device).to(score.dtype)
        return (positions[indices].unsqueeze(-1) == positions).any(-2).to(score.dtype)


@fault(expected_law="decision.keeps_top_k")
class RankedInHalf(Plain):
    """bfloat16 for speed: what differs in the third digit is a tie."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        return super().choose(score.bfloat16(), noise, keep)


@fault(expected_law="decision.forward_is_hard")
class ThresholdForTopK(Plain):
    """All that tie with the K-th score are ones in D; the tokens are gathered by topk."""

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        return (score >= score.gather(-1, indices).amin(-1, keepdim=True)).to(score.dtype)


@fault(expected_law="selection.decision_is_aligned")
class TiesBrokenTwice(Plain):
    """D and the tokens choose for themselves: the last among ties for one, the first for the other."""

    def select(self, tokens: Tensor, score: Tensor, keep: int, tau: float, training: bool) -> SelectionResult:
        chosen = super().select(tokens, score, keep, tau, training)
        indices = torch.sort(score, dim=-1, descending=True, stable=True).indices[:, :keep]
        # The last among ties, as another device's topk may have it.
        hard = self.hard(score, score.flip(-1).sort(dim=-1, descending=True, stable=True).indices[:, :keep]).flip(-1)
        noise = self.noise(score) if training else torch.zeros_like(score)
        decision = self.join(hard, self.soft(score, noise, tau, keep))
        return SelectionResult(
            selected_tokens=self.gather(tokens, indices),
            decision=decision,
            keep_indices=indices,
            selected_decision=self.selected(decision, indices),
            extra_token=self.extra(tokens, score, hard) if keep < score.shape[-1] else chosen.extra_token,
        )


@fault(expected_law="selection.gathers_kept_tokens")
class ReshapeForGather(Plain):
    """The first K tokens, as if they had been sorted."""

    def gather(self, tokens: Tensor, indices: Tensor) -> Tensor:
        return tokens[:, : indices.shape[-1]]


@fault(expected_law="selection.gathers_kept_tokens")
class FlatIndices(Plain):
    """Indices of a sample used on the flattened batch: every sample gets the first one's tokens."""

    def gather(self, tokens: Tensor, indices: Tensor) -> Tensor:
        return tokens.flatten(0, 1)[indices]


@fault(expected_law="selection.decision_is_aligned")
class DecisionInOrderOfPosition(Plain):
    """Tokens by score, D by position."""

    def selected(self, decision: Tensor, indices: Tensor) -> Tensor:
        return decision.gather(-1, indices.sort(dim=-1).values)

    def wire(self, selection: SelectionResult, aggregate):  # type: ignore[no-untyped-def]
        return aggregate(selection.selected_tokens, selection.decision.gather(-1, selection.keep_indices))


@fault(expected_law="gradient.reaches_score")
class HardOnly(Plain):
    """No straight-through path."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        return hard


@fault(expected_law="gradient.reaches_score")
class SoftMaskOfTheKept(Plain):
    """The softmax runs over the kept tokens only: the dropped are never trained."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        kept = self.hard(score, self.choose(score, noise, keep)) > 0.5
        return torch.softmax(((score + noise) / tau).masked_fill(~kept, -torch.inf), dim=-1)


@fault(expected_law="selection.tokens_carry_gradient")
class TokensDetached(Plain):
    """Only the score is to be trained, it was thought."""

    def gather(self, tokens: Tensor, indices: Tensor) -> Tensor:
        return super().gather(tokens.detach(), indices)


@fault(expected_law="selection.tokens_carry_gradient")
class TokensCopiedThroughData(Plain):
    """The kept tokens are written into a new tensor through .data, row by row."""

    def gather(self, tokens: Tensor, indices: Tensor) -> Tensor:
        kept = tokens.new_zeros(*indices.shape, tokens.shape[-1])
        for row, positions in enumerate(indices.tolist()):
            kept[row] = tokens.data[row, positions]
        return kept


@fault(expected_law="selection.tokens_carry_gradient")
class TokensAtHalfTheGradient(Plain):
    """A straight-through estimator on the tokens too: the right tokens forward, half of their gradient backward."""

    def gather(self, tokens: Tensor, indices: Tensor) -> Tensor:
        kept = super().gather(tokens, indices)
        return kept.detach() + (kept - kept.detach()) / 2


@fault(expected_law="selection.extra_token_pools_dropped")
class ExtraIsThePlainMean(Plain):
    """The dropped tokens, each as much as the other."""

    def extra(self, tokens: Tensor, score: Tensor, hard: Tensor) -> Tensor:
        dropped = 1 - hard
        return (dropped / dropped.sum(-1, keepdim=True).clamp(min=1)).unsqueeze(1) @ tokens


@fault(expected_law="selection.extra_token_pools_dropped")
class ExtraOfTheKept(Plain):
    """The hard mask where its complement belongs."""

    def extra(self, tokens: Tensor, score: Tensor, hard: Tensor) -> Tensor:
        return super().extra(tokens, score, 1 - hard)


@fault(expected_law="selection.extra_token_pools_dropped")
class ExtraOfAll(Plain):
    """softmax over all N, then the kept weights are set to zero: the rest sums to less than one."""

    def extra(self, tokens: Tensor, score: Tensor, hard: Tensor) -> Tensor:
        return (score.softmax(-1) * (1 - hard)).unsqueeze(1) @ tokens


@fault(expected_law="selection.extra_token_carries_gradient")
class ExtraOfDetachedTokens(Plain):
    """What was dropped is taken to be of no account."""

    def extra(self, tokens: Tensor, score: Tensor, hard: Tensor) -> Tensor:
        return super().extra(tokens.detach(), score, hard)


@fault(expected_law="selection.extra_token_carries_gradient")
class ExtraByDetachedScores(Plain):
    """Right forward; the scores of the dropped learn nothing from what they weigh."""

    def extra(self, tokens: Tensor, score: Tensor, hard: Tensor) -> Tensor:
        return super().extra(tokens, score.detach(), hard)


@fault(expected_law="selection.extra_token_pools_dropped")
class ExtraOfNothingIsNaN(Plain):
    """K = N: a softmax over minus infinities."""

    def extra_of_nothing(self, tokens: Tensor) -> Tensor:
        return torch.full_like(tokens[:, :1], -torch.inf).softmax(-1)


class ByShare(Selector):
    """Holds the share of tokens to keep, as a buffer."""

    share: Tensor

    def __init__(self, steps: Plain, share: float, tau: float):
        super().__init__(steps, 0, tau)
        self.register_buffer("share", torch.tensor(share))

    def forward(self, tokens: Tensor, score: Tensor) -> Any:
        """tokens: B N C; score: B N."""
        keep = math.ceil(score.shape[1] * float(self.share) - 1e-3)
        return self.steps.select(tokens, score, keep, self.tau, self.training)


@fault(expected_law="shape.follows_inputs")
class ShareRoundedInHalf(Plain):
    """The share of tokens to keep is a buffer, which `.bfloat16()` rounds: for some sizes one more is kept."""

    def selector(self, *, dim: int, num_tokens: int, keep: int, tau: float) -> Selector:
        self.check(num_tokens, keep)
        return ByShare(self, keep / num_tokens, tau)
