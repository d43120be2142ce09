"""What makes a selector of a published TokenSparse, though it takes attentions and a ratio."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.signals.model import tensors
from sdtps_ref.properties.targets.adapters.introspection import (
    TAU,
    B,
    C,
    K,
    N,
    built_in_tau,
    lacking,
    roles_of,
    untrained,
)
from sdtps_ref.properties.targets.adapters.signatures import Recognised
from sdtps_ref.properties.targets.adapters.substitution import Place, find_score, recorded
from sdtps_ref.properties.targets.adapters.wrappers import Selector


class Sparse:
    """What an adapter knows of one TokenSparse class, found out on a small instance.

    roles: which of the returned tensors is what. place: where it makes its score, by mode (training or not);
    direct: that the first attention, the others zero, is the score. tau: its temperature, if that is built in.
    ratios: the shares that were found, by N and K.
    """

    def __init__(self, recognised: Recognised):
        self.recognised = recognised
        self.attentions = recognised.signature.called_with[1:]
        self.ratios: dict[tuple[int, int], float] = {}
        self._inputs = [(draw("normal", (B, N, C), seed).float(), self._drawn(seed)) for seed in (100, 200)]
        for tokens, attentions in self._inputs:
            for part in (tokens, *attentions):
                part.requires_grad_()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            plain = recognised.make(embed_dim=C, sparse_ratio=K / N)
            self.call(plain, *self._inputs[0])  # raises what keeps it from being used at all
            self.module = self.make(C, N, K, TAU)
            returned = [part for _, part in tensors(self.call(self.module, *self._inputs[0]), "")]
            self.roles = roles_of(returned)
            self.notes = lacking(self.roles, returned)
            self.place = {training: self._find_place(training) for training in (False, True)}
            self.place[True] = self.place[True] or self._same_place_in_training()
            self.direct = all(self.place.values()) and all(self._is_direct(training) for training in (False, True))
            if "decision" in self.roles:
                self.module.train()
                self.notes += untrained(self.module, self._decide(0)) or self._untrained_by_default(plain)
            self.tau = None if recognised.takes("gumbel_tau") or not self.can_select else self._built_in_tau()

    @property
    def can_select(self) -> bool:
        """Whether laws about a selector can be put to it."""
        return {"decision", "selected_tokens"} <= set(self.roles) and all(self.place.values())

    def make(self, dim: int, num_tokens: int, keep: int, tau: float) -> nn.Module:
        """An instance that keeps exactly `keep` of `num_tokens`, with noise where it can be had."""
        arguments = {"embed_dim": dim, "use_gumbel": True, "gumbel_tau": tau}
        if not 1 <= keep <= num_tokens:  # the module's own affair
            return self.recognised.make(**arguments, sparse_ratio=keep / num_tokens)
        if (num_tokens, keep) not in self.ratios:
            self.ratios[num_tokens, keep] = self._ratio(num_tokens, keep)
        return self.recognised.make(**arguments, sparse_ratio=self.ratios[num_tokens, keep])

    def call(self, module: nn.Module, tokens: Tensor, attentions: list[Tensor]) -> Any:
        """The module as it is called by its users."""
        return module(tokens, *attentions, **self.recognised.further())

    def selector(self, module: nn.Module) -> Selector:
        """The instance as the contract's selector."""
        return Selector(module, len(self.attentions), self.roles, self.places(), self.recognised.further())

    def made_at(self) -> dict[bool, tuple[int, str]]:
        """Where it makes its score, by mode."""
        return {training: (place.position, place.name) for training, place in self.place.items() if place}

    def places(self) -> dict[bool, tuple[int, str]] | None:
        """The same; None where its first attention is the score."""
        return None if self.direct else self.made_at()

    def _ratio(self, num_tokens: int, keep: int) -> float:
        """The share at which `keep` tokens are kept, however the module rounds."""
        for ratio in (keep / num_tokens, (keep - 0.5) / num_tokens, min(1.0, (keep + 0.5) / num_tokens)):
            if self.kept(ratio, num_tokens) == keep:
                return ratio
        raise Unsupported(f"no sparse_ratio was found at which it keeps {keep} of {num_tokens} tokens")

    def kept(self, ratio: float, num_tokens: int) -> int | None:
        """How many tokens are kept at this share."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            try:
                module = self.recognised.make(embed_dim=C, use_gumbel=True, gumbel_tau=1.0, sparse_ratio=ratio)
                returned = self.call(
                    module, draw("normal", (1, num_tokens, C), 0).float(), self._drawn(0, num_tokens, 1)
                )
            except Exception:
                return None
        parts = [part for _, part in tensors(returned, "") if part.ndim == 3]
        return parts[0].shape[1] if parts else None

    def _drawn(self, seed: int, num_tokens: int = N, batch: int = B) -> list[Tensor]:
        return [draw("normal", (batch, num_tokens), seed + i).float().softmax(-1) for i in range(len(self.attentions))]

    def _decide(self, inputs: int, module: nn.Module | None = None) -> Tensor:
        returned = self.call(module or self.module, *self._inputs[inputs])
        decision = [part for _, part in tensors(returned, "")][self.roles["decision"]]
        return decision if decision.is_floating_point() else decision.to(self._inputs[inputs][0].dtype)

    def _find_place(self, training: bool) -> Place | None:
        if "decision" not in self.roles:
            return None
        self.module.train(training)
        try:
            return find_score(self._decide, (B, N), TAU)
        except Unsupported:
            return None

    def _same_place_in_training(self) -> Place | None:
        """Where dropout makes the score itself random in training: the call that it is in evaluation."""
        place = self.place[False]
        if place is None or "decision" not in self.roles:
            return None
        names = []
        for training in (False, True):
            self.module.train(training)
            names.append([call.name for call in recorded(lambda: self._decide(0))][: place.position + 1])
        return place if names[0] == names[1] else None

    def _is_direct(self, training: bool) -> bool:
        """Whether the first attention arrives as the score, with its own gradient."""
        place = self.place[training]
        assert place is not None
        self.module.train(training)
        for seed in (0, 1):
            score = draw("normal", (B, N), seed).float().requires_grad_()
            given = [score, *(torch.zeros(B, N) for _ in self.attentions[1:])]
            call = partial(self.call, self.module, draw("normal", (B, N, C), seed).float(), given)
            found = recorded(call)[place.position]
            if found.value is None or not torch.equal(found.value, score) or not found.result.requires_grad:
                return False
            cotangent = draw("normal", (B, N), seed + 2).float()
            reached = torch.autograd.grad(found.result, score, cotangent, allow_unused=True)[0]
            if reached is None or not torch.equal(reached, cotangent):
                return False
        return True

    def _untrained_by_default(self, plain: nn.Module) -> list[str]:
        """What is lost where noise is off by default, and the straight-through path with it."""
        try:
            decision = self._decide(0, plain.train())
        except Exception:
            decision = None
        if decision is not None and decision.requires_grad:
            return []
        return ["built without use_gumbel=True its score_mask has no gradient: the score is then never trained"]

    def _built_in_tau(self) -> float:
        selector = self.selector(self.module.double().eval())
        return built_in_tau(lambda tokens, score: selector(tokens, score).decision)
