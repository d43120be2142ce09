"""The memory of a tensor that was seen earlier."""

from __future__ import annotations

import torch
from torch import Tensor


def is_there(tensor: Tensor) -> bool:
    """Whether a tensor's memory is: FSDP frees that of whole parameters between forward and backward."""
    if tensor.layout != torch.strided or tensor.numel() == 0 or tensor.device.type == "meta":
        return tensor.device.type != "meta"
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.untyped_storage().nbytes() >= (tensor.storage_offset() + last + 1) * tensor.element_size()


def storage_of(tensor: Tensor) -> int:
    """The address of its memory; 0 where it has none."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError, ValueError):  # meta, sparse and uninitialised tensors have none
        return 0
