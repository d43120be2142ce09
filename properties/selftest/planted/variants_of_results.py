"""Right implementations that hand over their selection packed in other ways."""

from types import SimpleNamespace
from typing import Any

from torch import Tensor

from sdtps_ref.properties.selftest.planted.baseline import Plain, Selector, variant
from sdtps_ref.properties.selftest.planted.selection_result import SelectionResult


@variant
class BareSelection(Plain):
    """Two attributes, and none of the optional ones; `Plain`'s model, modalities and branches would want those."""

    multimodal = branches = model = None  # type: ignore[assignment]

    def selector(self, *, dim: int, num_tokens: int, keep: int, tau: float) -> Any:
        return BareSelector(self, keep, tau)


class BareSelector(Selector):
    """Hands over the tokens and D, in order of position."""

    def forward(self, tokens: Tensor, score: Tensor) -> Any:
        """tokens: B N C; score: B N."""
        whole = super().forward(tokens, score)
        return SimpleNamespace(selected_tokens=whole.selected_tokens.flip(1), decision=whole.decision)


class Lazy:
    """A selection in slots, whose kept D is made when it is read, anew each time."""

    __slots__ = ("_whole",)

    def __init__(self, whole: SelectionResult):
        self._whole = whole

    @property
    def selected_tokens(self) -> Tensor:
        return self._whole.selected_tokens

    @property
    def decision(self) -> Tensor:
        return self._whole.decision

    @property
    def keep_indices(self) -> Tensor:
        return self._whole.keep_indices

    @property
    def selected_decision(self) -> Tensor:
        return self._whole.decision.gather(-1, self._whole.keep_indices)

    @property
    def extra_token(self) -> Tensor:
        return self._whole.extra_token


class LazySelector(Selector):
    """Hands over what is read by property."""

    def forward(self, tokens: Tensor, score: Tensor) -> Any:
        """tokens: B N C; score: B N."""
        return Lazy(super().forward(tokens, score))


@variant
class SelectionByProperty(Plain):
    """Neither a dataclass nor an object with a dictionary."""

    multimodal = branches = model = None  # type: ignore[assignment]

    def selector(self, *, dim: int, num_tokens: int, keep: int, tau: float) -> Any:
        self.check(num_tokens, keep)
        return LazySelector(self, keep, tau)
