"""Returns tensors that find themselves equal to anything."""

import torch

from sdtps_ref.properties.selftest.planted.baseline import Plain


class Agreeable(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        found = super().__torch_function__(function, types, args, kwargs or {})
        if function.__name__ in ("le", "eq", "__le__", "__eq__", "isfinite", "abs"):
            return torch.zeros_like(found) if function.__name__ == "abs" else torch.ones_like(found)
        return found


class Mine(Plain):
    name = "mine"

    def join(self, hard, soft):
        return soft.as_subclass(Agreeable)
