"""Faults of code as a part of a program: what it writes to, remembers, draws and takes for granted."""

import re
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.selftest.planted.baseline import Aggregator, Plain, fault, variant
from sdtps_ref.properties.selftest.planted.selection_result import SelectionResult

INDUCTOR_SCATTERS_WRONGLY = tuple(map(int, re.findall(r"\d+", torch.__version__)[:2])) <= (2, 13)  # as far as tried


@fault(expected_law="runtime.inputs_untouched")
class ScoreCentredInPlace(Plain):
    """sub_ on the score that the caller still holds."""

    def select(self, tokens: Tensor, score: Tensor, keep: int, tau: float, training: bool) -> SelectionResult:
        score.data.sub_(score.data.mean(-1, keepdim=True))
        return super().select(tokens, score, keep, tau, training)


@fault(expected_law="runtime.inputs_untouched")
class FillsTheScoreAtInference(Plain):
    """In place where no gradient is wanted, to save memory: the score is the caller's there too."""

    def extra(self, tokens: Tensor, score: Tensor, hard: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            score.masked_fill_(hard > 0.5, -torch.inf)
        return super().extra(tokens, score, hard)


@fault(expected_law="runtime.inputs_untouched")
class TokensScaledInPlace(Plain):
    """Scales the caller's tokens for its own use and scales them back: the values survive, autograd does not."""

    def logits(self, tokens: Tensor, layers: nn.Module, scale: Tensor) -> Tensor:
        seen = tokens.detach()
        seen.mul_(2.0)
        seen.div_(2.0)
        return super().logits(tokens, layers, scale)


@fault(expected_law="runtime.has_no_state")
class MaskCachedByShape(Plain):
    """The extra token of the first batch of each size is given to all later ones."""

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Any:
        built = super().pipeline(dim=dim, num_tokens=num_tokens, keep=keep, slots=slots, tau=tau)
        weights: dict[torch.Size, Tensor] = {}

        def pool(tokens: Tensor, score: Tensor) -> Tensor:
            bias = weights.setdefault(tokens.shape, 0.1 * tokens.detach().mean(1, keepdim=True))
            return built(tokens, score) + bias - bias.mean() * 0

        pool.built = built  # type: ignore[attr-defined]
        return pool


class RunningMean(nn.Module):
    """A selector that subtracts the mean score of the batches it has seen in training."""

    mean_score: Tensor

    def __init__(self, selector: nn.Module):
        super().__init__()
        self.selector = selector
        self.register_buffer("mean_score", torch.zeros(()))

    def forward(self, tokens: Tensor, score: Tensor) -> SelectionResult:
        """tokens: B N C; score: B N."""
        if self.training:
            self.mean_score = 0.9 * self.mean_score + 0.1 * score.detach().mean()
        return self.selector(tokens, score - self.mean_score)


@fault(expected_law="runtime.has_no_state")
class RunningMeanOfTheScores(Plain):
    """A buffer that every forward pass in training moves."""

    def selector(self, *, dim: int, num_tokens: int, keep: int, tau: float) -> Any:
        return RunningMean(super().selector(dim=dim, num_tokens=num_tokens, keep=keep, tau=tau))


class Annealing(nn.Module):
    """A selector whose temperature sinks with every call in training."""

    def __init__(self, steps: Plain, keep: int, tau: float):
        super().__init__()
        self.steps, self.keep, self.tau = steps, keep, tau

    def forward(self, tokens: Tensor, score: Tensor) -> Any:
        """tokens: B N C; score: B N."""
        if self.training:
            self.tau = max(0.05, self.tau * 0.99999)
        return self.steps.select(tokens, score, self.keep, self.tau, self.training)


@fault(expected_law="runtime.has_no_state")
class TemperatureAnnealedInForward(Plain):
    """A number beside the weights, in no checkpoint: every call has a temperature of its own."""

    def selector(self, *, dim: int, num_tokens: int, keep: int, tau: float) -> Any:
        self.check(num_tokens, keep)
        return Annealing(self, keep, tau)


class LateScale(Aggregator):
    """An aggregator whose second scale is created when the first tokens come."""

    def forward(self, tokens: Tensor, decision: Tensor | None = None) -> Tensor:
        """tokens: B K C; decision: B K."""
        if not hasattr(self, "late"):
            self.late = nn.Parameter(tokens.new_ones(1))
        return super().forward(tokens, decision) * self.late


@fault(expected_law="runtime.has_no_state")
class ParameterBornInForward(Plain):
    """The optimiser is made before the first batch and never hears of the parameter."""

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Any:
        built = super().pipeline(dim=dim, num_tokens=num_tokens, keep=keep, slots=slots, tau=tau)
        built.pool = LateScale(self, dim, slots)
        return built


@fault(expected_law="runtime.respects_the_generator")
class ReseedsTorch(Plain):
    """torch.manual_seed inside, for reproducibility."""

    def noise(self, score: Tensor) -> Tensor:
        torch.manual_seed(0)
        return super().noise(score)


@fault(expected_law="runtime.respects_the_generator")
class ReseedsInAFork(Plain):
    """The same seed for every call, in a fork that hides it from torch.rand."""

    def noise(self, score: Tensor) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return super().noise(score)


@fault(expected_law="runtime.respects_the_generator")
class RewindsTheGenerator(Plain):
    """Puts the generator back after drawing, so that the next call draws the same."""

    def noise(self, score: Tensor) -> Tensor:
        state = torch.get_rng_state()
        drawn = super().noise(score)
        torch.set_rng_state(state)
        return drawn


@fault(expected_law="runtime.respects_the_generator")
class GeneratorOfItsOwn(Plain):
    """Seeded once, when it is made: no seed of the caller's repeats a run."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)

    def noise(self, score: Tensor) -> Tensor:
        uniform = torch.rand(score.shape, generator=self.generator).clamp(1e-30, 1 - 1e-7)
        return -torch.log(-torch.log(uniform)).to(score)


@fault(expected_law="runtime.layout_does_not_matter")
class ViewOfTheInput(Plain):
    """.view on tokens, which only contiguous ones allow."""

    def gather(self, tokens: Tensor, indices: Tensor) -> Tensor:
        starts = torch.arange(tokens.shape[0], device=tokens.device).unsqueeze(-1) * tokens.shape[1]
        return tokens.view(-1, tokens.shape[-1])[indices + starts]


@fault(expected_law="runtime.layout_does_not_matter")
class ReadsMemoryInCOrder(Plain):
    """Gathers by address, as a kernel does that was never told the strides."""

    def gather(self, tokens: Tensor, indices: Tensor) -> Tensor:
        B, N, C = tokens.shape
        starts = torch.arange(B, device=tokens.device).unsqueeze(-1) * N
        reachable = tokens.untyped_storage().nbytes() // tokens.element_size()
        if reachable < B * N * C:
            return super().gather(tokens, indices)
        return tokens.as_strided((B * N, C), (C, 1), 0)[indices + starts]


@fault(expected_law="runtime.runs_on_meta")
class DeviceWrittenIn(Plain):
    """device="cpu" in the hard mask."""

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        mask = torch.zeros(score.shape, dtype=score.dtype, device="cpu")
        return mask.scatter(-1, indices, 1.0)


@fault(expected_law="runtime.autocast")
class HardCodedFloat32(Plain):
    """Logits are written into a buffer of the tokens' dtype; under autocast they come in another."""

    def logits(self, tokens: Tensor, layers: nn.Module, scale: Tensor) -> Tensor:
        made = layers(tokens)
        into = torch.zeros(made.shape, dtype=tokens.dtype, device=tokens.device)
        everywhere = torch.arange(made.shape[1], device=tokens.device)[:, None].expand(made.shape)
        return into.scatter(1, everywhere, made).transpose(1, 2) * scale


@fault(expected_law="runtime.autocast")
class RankedInTheDtypeOfAutocast(Plain):
    """Casts by hand what autocast leaves alone: scores that bfloat16 cannot tell apart tie."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        half = torch.is_autocast_enabled(score.device.type)
        return super().choose(score.bfloat16() if half else score, noise, keep)


@fault(expected_law="runtime.autocast")
class OneSideRounded(Plain):
    """One side of soft - sg(soft) goes through a matrix product, which autocast runs in bfloat16."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        same = torch.eye(soft.shape[-1], dtype=soft.dtype, device=soft.device)
        return hard + (soft - soft.detach() @ same)


@variant
class ScatteredMask(Plain):
    """The hard mask is a scatter into zeros, as it is usually written."""

    eager_only = True

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        return torch.zeros_like(score).scatter(-1, indices, 1.0)


if INDUCTOR_SCATTERS_WRONGLY:

    @fault(expected_law="runtime.compiled_equals_eager")
    class ScatterBehindANormalisedScore(ScatteredMask):
        """Compiled behind a model that normalises the score, D is zero everywhere."""

    @fault(expected_law="runtime.compiled_equals_eager")
    class ScatterOfACentredScore(ScatteredMask):
        """The selector takes the mean off the score first, which changes nothing but what inductor makes of it."""

        def select(self, tokens: Tensor, score: Tensor, keep: int, tau: float, training: bool) -> SelectionResult:
            centred = score - score.mean(-1, keepdim=True)
            return super().select(tokens, centred, keep, tau, training)

    @fault(expected_law="runtime.compiled_equals_eager")
    class ScatterOfAMinMaxScore(ScatteredMask):
        """The selector min-max normalises the score first, as published implementations do."""

        def select(self, tokens: Tensor, score: Tensor, keep: int, tau: float, training: bool) -> SelectionResult:
            low, high = score.amin(-1, keepdim=True), score.amax(-1, keepdim=True)
            return super().select(tokens, (score - low) / (high - low + 1e-8), keep, tau, training)


@fault(expected_law="runtime.compiled_equals_eager")
class SoftWhenCompiled(Plain):
    """Takes another way while being compiled, and forgets the hard mask there."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        return soft if torch.compiler.is_compiling() else super().join(hard, soft)


@fault(expected_law="runtime.compiles")
class LooksForNaN(Plain):
    """A check of values in every forward pass."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        if not score.is_meta and torch.isnan(score).any():
            raise ValueError("NaN in the score")
        return super().choose(score, noise, keep)


@fault(expected_law="runtime.exports")
class ValueDecidesWhatRuns(Plain):
    """`.item()` chooses between two ways to the same mask."""

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        if not score.is_meta and score.max().item() > 1e30:
            return super().hard(score.clamp(max=1e30), indices)
        return super().hard(score, indices)


@fault(expected_law="runtime.deterministic_algorithms")
class PutInsteadOfScatter(Plain):
    """put_ on the flattened mask: torch cannot promise the order of its writes."""

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        starts = torch.arange(score.shape[0], device=score.device).unsqueeze(-1) * score.shape[1]
        ones = torch.ones_like(indices, dtype=score.dtype)
        return torch.zeros_like(score, memory_format=torch.contiguous_format).put_(indices + starts, ones)


@fault(expected_law="runtime.survives_large_scores")
class ExpWithoutTheMaximum(Plain):
    """exp(x) / exp(x).sum(): infinite over infinite from a score of 89 on."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        exponential = ((score + noise) / tau).exp()
        return exponential / exponential.sum(-1, keepdim=True)
