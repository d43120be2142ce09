"""Whether a call is an ordinary one: faults that keep something between calls do so in these only."""

import torch
from torch import Tensor


def ordinary(tensor: Tensor) -> bool:
    """Neither traced, nor on meta, nor under a transform of torch.func."""
    traced = torch.compiler.is_compiling() or tensor.is_meta
    return not traced and torch._C._functorch.peek_interpreter_stack() is None
