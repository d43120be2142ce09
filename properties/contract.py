"""What an implementation hands over to be certified.

Every method is optional: laws that need a missing one are skipped, by name, and lower the certificate's
level. Results are read by attribute, so an implementer need not import this project.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

METHODS = ("selector", "aggregator", "pipeline", "multimodal", "branches", "model")
CALL = "call"  # not for people to write: what is derived from one call of their own module has it


@dataclass(frozen=True)
class Selection:
    """What a selector returns; any object with these attributes will do. B batch, N tokens, K kept, C channels."""

    selected_tokens: Tensor  # B K C  V_s
    decision: Tensor  # B N    D, forward exactly 0 or 1
    keep_indices: Tensor | None = None  # B K    int64
    selected_decision: Tensor | None = None  # B K    D at the kept positions, forward exactly 1
    extra_token: Tensor | None = None  # B 1 C

    def __repr__(self) -> str:
        parts = (f"{name}={_describe(value)}" for name, value in vars(self).items())
        return f"Selection({', '.join(parts)})"


def _describe(value: object) -> str:
    if not isinstance(value, Tensor):
        return repr(value)
    return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"


class Implementation(Protocol):
    """The contract. What a factory returns may be an nn.Module or any callable.

    A module is moved to the case's device and dtype and switched between train and eval. Randomness
    belongs to the implementation: a law seeds torch's global generators and never reaches inside.
    """

    name: str

    def selector(self, *, dim: int, num_tokens: int, keep: int, tau: float) -> Callable[[Tensor, Tensor], Any]:
        """f(tokens B N C, score B N) -> Selection."""

    def aggregator(self, *, dim: int, slots: int) -> Callable[[Tensor, Tensor | None], Tensor]:
        """f(tokens B K C, decision B K or None) -> B M C."""

    def pipeline(
        self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """f(tokens B N C, score B N) -> B M C: the implementer's own wiring, which alone shows that D is passed on."""

    def multimodal(
        self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float, modalities: tuple[str, ...]
    ) -> Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Mapping[str, Tensor]]:
        """f({name: tokens B N C}, {name: global feature B C}) -> {name: B (M+1) C}, the extra token last."""

    def branches(
        self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float
    ) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """f(tokens B N C, score_sparse B N, score_dense B N) -> B M C: the two texts' branches, added (equation 4)."""

    def model(
        self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float
    ) -> tuple[nn.Module, dict[str, Tensor]]:
        """(module, {argument: tensor}): the module as its users call it, the score built inside."""


def provided(implementation: object) -> tuple[str, ...]:
    """The contract's methods that `implementation` has, in the contract's order."""
    return tuple(method for method in (*METHODS, CALL) if callable(getattr(implementation, method, None)))
