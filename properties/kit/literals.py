"""Tensors and numbers spelt out, as a script has them."""

from typing import Any

import torch
from torch import Tensor

DIGITS = {torch.float32: 9, torch.float16: 5, torch.bfloat16: 4}  # that name each value of the dtype uniquely


def literal(value: Tensor) -> str:
    """The tensor with all its entries."""
    if value.is_meta:
        return f"torch.empty({tuple(value.shape)}, dtype={value.dtype}, device='meta')"
    flat = value.detach().cpu().flatten()
    first = number(flat[0].item(), value.dtype) if len(flat) else "0"
    if len(flat) > 8 and (flat == flat[0]).all():
        return f"torch.full({tuple(value.shape)}, {first}, dtype={value.dtype}, device={str(value.device)!r})"
    shown = _listed(value.detach().cpu().tolist(), value.dtype)
    return f"torch.tensor({shown}, dtype={value.dtype}, device={str(value.device)!r})"


def _listed(part: Any, dtype: torch.dtype) -> str:
    if isinstance(part, list):
        return f"[{', '.join(_listed(item, dtype) for item in part)}]"
    return number(part, dtype)


def number(value: float, dtype: torch.dtype = torch.float64) -> str:
    """The value as Python writes it, with no more digits than its dtype tells apart."""
    if isinstance(value, float) and value - value != 0:
        return f"float({str(value)!r})"
    return repr(float(f"{value:.{DIGITS[dtype]}g}")) if dtype in DIGITS else repr(value)
