"""What is timed: the reference's pipeline at the published sizes, forward, and forward with backward."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.aggregation import Mask
from sdtps_ref.properties.reference import Pipeline, Reference

MODES = ("forward", "forward and backward")


@dataclass(frozen=True)
class Size:
    """B samples of N tokens with C channels, of which K are kept and pooled into M slots."""

    B: int
    N: int
    K: int
    C: int
    M: int

    def __str__(self) -> str:
        return f"B{self.B}-N{self.N}-K{self.K}-C{self.C}-M{self.M}"


PUBLISHED = (Size(4, 128, 64, 512, 25), Size(4, 196, 98, 512, 39))


@dataclass(frozen=True)
class Workload:
    """A pipeline in train mode with its inputs and a cotangent, on one device in float32."""

    size: Size
    mask: Mask
    device: str
    pipeline: Pipeline
    tokens: Tensor  # B N C
    score: Tensor  # B N
    cotangent: Tensor  # B M C, random: the sum of pooled tokens would ask the softmax for nothing

    def forward(self) -> Tensor:
        """The pooled tokens, with a graph for the backward pass as in training. B M C."""
        return self.pipeline(self.tokens, self.score)

    def backward(self) -> tuple[Tensor, ...]:
        """Forward and backward: the gradients of tokens, score and every parameter."""
        inputs = [self.tokens, self.score, *self.pipeline.parameters()]
        return torch.autograd.grad(self.forward(), inputs, self.cotangent)

    def timed(self, mode: str) -> Callable[[], None]:
        """A call that has ended when it returns: a GPU only starts work when it is asked."""
        work: Callable[[], Any] = {"forward": self.forward, "forward and backward": self.backward}[mode]

        def run() -> None:  # returns nothing, so that freeing the result is part of what is timed
            work()
            if self.device != "cpu":
                torch.cuda.synchronize(self.device)

        return run


def make(size: Size, mask: Mask, device: str) -> Workload:
    """The workload of that size, its values drawn on the CPU from seed 0."""
    torch.manual_seed(0)
    pipeline = Reference(mask).pipeline(dim=size.C, num_tokens=size.N, keep=size.K, slots=size.M, tau=1.0)
    tokens = torch.randn(size.B, size.N, size.C)
    score, cotangent = torch.randn(size.B, size.N), torch.randn(size.B, size.M, size.C)
    tokens, score = (x.to(device).requires_grad_() for x in (tokens, score))
    return Workload(size, mask, device, pipeline.to(device).train(), tokens, score, cotangent.to(device))


def environment(workload: Workload) -> dict[str, Any]:
    """What a time means nothing without."""
    on_gpu = workload.device != "cpu"
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(workload.device) if on_gpu else torch.backends.cpu.get_cpu_capability(),
        "device_type": "cuda" if on_gpu else "cpu",
        "threads": torch.get_num_threads(),
        "tf32": torch.backends.cuda.matmul.allow_tf32 if on_gpu else None,
        "dtype": "float32",
        "mask": workload.mask,
        **asdict(workload.size),
    }
