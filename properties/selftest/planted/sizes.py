"""Sizes and values outside of what is usually tried."""

import torch
from torch import Tensor, nn

from sdtps_ref.properties.selftest.planted.baseline import Plain, fault

CHUNK = 64  # samples


@fault(expected_law="sizes.backward_is_softmax")
class TemperatureHeldToTheUsual(Plain):
    """The temperature is clamped to [0.1, 5]: at 0.05 and at 20 the soft mask is another one's."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return super().soft(score, noise, min(max(tau, 0.1), 5.0), keep)


@fault(expected_law="selection.gathers_kept_tokens")
class TokensOfTheFirstChunk(Plain):
    """Gathers in chunks of 64 samples and forgets the start: later chunks receive the tokens of the first."""

    def gather(self, tokens: Tensor, indices: Tensor) -> Tensor:
        parts = indices.split(CHUNK)
        return torch.cat([Plain.gather(self, tokens[: part.shape[0]], part) for part in parts])


@fault(expected_law="sizes.selection_is_exact")
class RankedInFloat32(Plain):
    """Ranks by score.float(): double scores that differ in the ninth digit are ties."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        return super().choose(score.float(), noise, keep)


@fault(expected_law="sizes.selection_is_exact")
class TiesMarkedAtInference(Plain):
    """Without gradients D is score >= the K-th score, which marks every tie with it."""

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return super().hard(score, indices)
        least = score.gather(-1, indices).amin(-1, keepdim=True)
        return (score >= least).to(score.dtype)


@fault(expected_law="sizes.pooling_of_repeated_tokens")
class SlotsSeeAThousandTokens(Plain):
    """A kernel's block ends at 1024: tokens beyond it have no weight."""

    def weights(self, logits: Tensor) -> Tensor:
        beyond = torch.arange(logits.shape[-1], device=logits.device) >= 1024
        return super().weights(logits.masked_fill(beyond, -torch.inf))


@fault(expected_law="sizes.samples_of_a_large_batch")
class PooledInChunks(Plain):
    """Pools 512 samples at a time, and forgets to advance among the tokens."""

    def aggregate(self, tokens: Tensor, decision: Tensor | None, layers: nn.Module, scale: Tensor) -> Tensor:
        weights = super().weights
        logits = self.logits(tokens, layers, scale)
        logits = logits if decision is None else self.mask(logits, decision)
        parts = weights(logits).split(8 * CHUNK)
        return torch.cat([part @ tokens[: part.shape[0]] for part in parts])


@fault(expected_law="sizes.half_backward_is_symmetric")
class HeldToOneInHalf(Plain):
    """In half precision D is held to one by a minimum, which halves the gradient of every kept entry."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        decision = super().join(hard, soft)
        return decision if hard.dtype in (torch.float32, torch.float64) else decision.minimum(torch.ones_like(hard))


@fault(expected_law="sizes.selection_is_exact")
class CountsRanksInTheScoresDtype(Plain):
    """Ranks are counted in the dtype of the score: in bfloat16 a count beyond 256 is rounded to even."""

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        rank = torch.zeros_like(score).scatter(-1, score.argsort(-1, descending=True), _counted(score))
        return (rank <= indices.shape[-1]).to(score.dtype)


def _counted(score: Tensor) -> Tensor:
    return torch.arange(1, score.shape[-1] + 1).to(score).expand_as(score)
