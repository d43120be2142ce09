"""Gradients as they pass in the user's own backward: hooks on tensors, which keep what they see and change nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

KEPT = 1_000_000  # entries up to which a gradient itself is kept; of a larger one, its norm


class Capture:
    """The gradients of chosen tensors, added up over backward passes."""

    def __init__(self) -> None:
        self._norms: dict[int, float] = {}
        self._values: dict[int, Tensor] = {}
        self._finite: dict[int, bool] = {}
        self._held: dict[int, Tensor] = {}  # so that no id is used twice
        self._handles: list[Any] = []

    def watch(self, tensors: Iterable[Tensor], *, values: bool = True) -> None:
        """Follow these; values: keep the gradients themselves, of those that are not large."""
        for tensor in tensors:
            if not tensor.requires_grad or id(tensor) in self._held:
                continue
            self._held[id(tensor)] = tensor
            keep = values and tensor.numel() <= KEPT
            # Of a view whose base was written into, this makes the history anew. Left to register_hook, torch crashes.
            _ = tensor.grad_fn
            self._handles.append(tensor.register_hook(self._hook(id(tensor), keep)))

    def _hook(self, key: int, keep: bool) -> Any:
        def hook(gradient: Tensor) -> None:
            own = gradient.detach()
            if own.layout != torch.strided:
                own = own.to_dense()
            size = norm(own)
            if keep:
                # A copy: what is kept here may not be what autograd then adds to, or hands on as `.grad`.
                own = own.clone()
                self._values[key] = self._values[key] + own if key in self._values else own
                size = norm(self._values[key])
            elif key in self._norms:
                size = (size**2 + self._norms[key] ** 2) ** 0.5
            self._norms[key] = size
            self._finite[key] = self._finite.get(key, True) and bool(size < float("inf"))

        return hook

    def stop(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def norm(self, tensor: Tensor) -> float | None:
        """Its gradient's norm; None where no gradient came."""
        return self._norms.get(id(tensor))

    def value(self, tensor: Tensor) -> Tensor | None:
        """Its gradient, where it was kept."""
        return self._values.get(id(tensor))

    def followed(self, tensor: Tensor) -> bool:
        """Whether the tensor has been followed."""
        return id(tensor) in self._held


def norm(tensor: Tensor) -> float:
    """The 2-norm, in float64 where the device has it: 1e10 times a gradient, squared, leaves float32."""
    own = getattr(tensor, "_local_tensor", tensor).detach()  # of a tensor that ranks share, this rank's part
    dtype = torch.float32 if own.device.type == "mps" else torch.float64
    return float(torch.linalg.vector_norm(own, dtype=dtype))
