"""Calls that are not the first."""

import copy
from typing import Any, ClassVar

import torch
from torch import Tensor

from sdtps_ref.properties.selftest.planted.baseline import Aggregator, Pipeline, Plain, Selector, fault
from sdtps_ref.properties.selftest.planted.ordinary_calls import ordinary


@fault(expected_law="later_calls.memory_may_be_used_again")
class RankingRememberedByAddress(Plain):
    """Keeps the last ranking and uses it again for the same memory: a buffer filled anew keeps the old one's tokens."""

    last: tuple[Tensor, int, Tensor] | None = None

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        if not ordinary(score):
            return super().choose(score, noise, keep)
        if self.last is not None and self.last[1] == keep and _same_memory(self.last[0], score):
            return self.last[2]
        indices = super().choose(score, noise, keep)
        self.last = score.detach(), keep, indices.clone()  # held, so that its memory is nobody else's
        return indices


def _same_memory(first: Tensor, second: Tensor) -> bool:
    kind = [(each.data_ptr(), each.shape, each.stride(), each.dtype, each.device) for each in (first, second)]
    return kind[0] == kind[1]


class Forgetful(Selector):
    """Leaves its temperature out of what is copied and pickled."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "tau"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "tau": 1.0})


@fault(expected_law="later_calls.copies_answer_alike")
class LosesItsTemperatureInACopy(Plain):
    """The temperature is said to belong to the run: a deep copy, or what was pickled, comes back with tau = 1."""

    def selector(self, *, dim: int, num_tokens: int, keep: int, tau: float) -> Any:
        self.check(num_tokens, keep)
        return Forgetful(self, keep, tau)

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Any:
        return Pipeline(self, Forgetful(self, keep, tau), Aggregator(self, dim, slots))


class _SoftmaxBesides(torch.autograd.Function):
    """A softmax that keeps its result in the layer, and not with the call."""

    @staticmethod
    def forward(ctx: Any, scaled: Tensor, steps: "BackwardReadsTheLastMask") -> Tensor:
        ctx.steps = steps
        steps.last = scaled.softmax(-1)
        return steps.last.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (gradient,), soft = gradients, ctx.steps.last
        return soft * (gradient - (gradient * soft).sum(-1, keepdim=True)), None


@fault(expected_law="later_calls.backward_passes_may_wait")
class BackwardReadsTheLastMask(Plain):
    """The backward pass reads the soft mask of the layer's latest call: an older call's gradient is the newer one's."""

    last: Tensor | None = None

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        if not ordinary(score):
            return super().soft(score, noise, tau, keep)
        return _SoftmaxBesides.apply((score + noise) / tau, self)

    def selector(self, *, dim: int, num_tokens: int, keep: int, tau: float) -> Any:
        self.check(num_tokens, keep)
        return Selector(copy.copy(self), keep, tau)

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Any:
        return Pipeline(self, Selector(copy.copy(self), keep, tau), Aggregator(self, dim, slots))


class RemembersItsMode(Selector):
    """Whether noise is drawn was asked in the first call."""

    noisy: bool | None = None

    def forward(self, tokens: Tensor, score: Tensor) -> Any:
        """tokens: B N C; score: B N."""
        if self.noisy is None:
            self.noisy = self.training
        return self.steps.select(tokens, score, self.keep, self.tau, self.noisy)


@fault(expected_law="later_calls.nothing_is_remembered")
class ModeOfTheFirstCall(Plain):
    """A sanity check in eval mode before training, and there is no noise ever after."""

    def selector(self, *, dim: int, num_tokens: int, keep: int, tau: float) -> Any:
        self.check(num_tokens, keep)
        return RemembersItsMode(self, keep, tau)


class ScaleKept(Aggregator):
    """Reads its scale once for inference."""

    kept: Tensor | None = None

    def forward(self, tokens: Tensor, decision: Tensor | None = None) -> Tensor:
        """tokens: B K C; decision: B K."""
        if self.training or tokens.is_meta:
            return super().forward(tokens, decision)
        if self.kept is None:
            self.kept = self.scale.detach().clone()
        scale = self.scale + (self.kept - self.scale.detach())
        return self.steps.aggregate(tokens, decision, self.layers, scale)


@fault(expected_law="later_calls.weights_may_change")
class ScaleOfTheFirstEvaluation(Plain):
    """The learned scale is kept by the first call in eval mode: later evaluations have the weights of two days."""

    def aggregator(self, *, dim: int, slots: int) -> Aggregator:
        return ScaleKept(self, dim, slots)


class ScaleHeld(Aggregator):
    """Holds its scale while nothing asks for gradients."""

    held: Tensor | None = None

    def forward(self, tokens: Tensor, decision: Tensor | None = None) -> Tensor:
        """tokens: B K C; decision: B K."""
        if self.training or torch.is_grad_enabled() or tokens.is_meta:
            self.held = None
            return super().forward(tokens, decision)
        if self.held is None:
            self.held = self.scale.detach().clone()
        return self.steps.aggregate(tokens, decision, self.layers, self.held.to(tokens.device))


@fault(expected_law="later_calls.weights_may_change")
class ScaleOfTheLastCheckpoint(Plain):
    """The scale is kept from one evaluation to the next, and dropped by calls with gradients alone."""

    def aggregator(self, *, dim: int, slots: int) -> Aggregator:
        return ScaleHeld(self, dim, slots)


class _ClearsOthers(torch.autograd.Function):
    """Forgets what the parameter had gathered, before its own comes."""

    @staticmethod
    def forward(ctx: Any, scale: Tensor) -> Tensor:
        ctx.scale = scale
        return scale.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        ctx.scale.grad = None
        return gradients[0]


@fault(expected_law="later_calls.gradients_add_up")
class ScaleForgetsWhatItGathered(Plain):
    """zero_grad in the backward pass: of an accumulated gradient the last part remains."""

    def logits(self, tokens: Tensor, layers: torch.nn.Module, scale: Tensor) -> Tensor:
        seen = _ClearsOthers.apply(scale) if ordinary(tokens) and scale.requires_grad else scale
        return super().logits(tokens, layers, seen)


@fault(expected_law="later_calls.nothing_is_remembered")
class SoftModeNotTakenBack(Plain):
    """Switches its noise off while it gathers and on again after: not if the gather runs out of memory."""

    quiet = False

    def noise(self, score: Tensor) -> Tensor:
        return torch.zeros_like(score) if self.quiet else super().noise(score)

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        before, self.quiet = self.quiet, True
        indices = super().choose(score, noise, keep)
        self.quiet = before
        return indices


@fault(expected_law="later_calls.others_change_nothing")
class TemperatureOfTheLastBuilt(Plain):
    """Settings in a table of the class, which every instance writes into."""

    settings: ClassVar[dict[str, float]] = {}

    def selector(self, *, tau: float, **sizes: Any) -> Any:
        """As the contract has it."""
        self.settings["tau"] = tau
        return super().selector(tau=tau, **sizes)

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return super().soft(score, noise, self.settings.get("tau", tau), keep)
