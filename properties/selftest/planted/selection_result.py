"""What every selector here returns: the contract's `Selection` with nothing left out."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class SelectionResult:
    """By attribute, as the contract wants it; B batch, N tokens, K kept, C channels."""

    selected_tokens: Tensor  # B K C
    decision: Tensor  # B N
    keep_indices: Tensor  # B K
    selected_decision: Tensor  # B K
    extra_token: Tensor  # B 1 C
