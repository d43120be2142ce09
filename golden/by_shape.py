"""The vectors' weights put into a module that has no load_weights, where the shapes leave one way to do it."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def fill(module: object, weights: Mapping[str, Tensor]) -> bool:
    """Set every parameter of `module` to the one of `weights` that has its shape; False where that is not one to one.

    weights: named as in the files; a number is a parameter of one entry, but norm_eps, which goes to the layer norms.
    Of two of one shape, a weight is what the module calls a weight, and otherwise the first comes first, as
    torch.nn registers them.
    """
    if not isinstance(module, nn.Module):
        return False
    left = dict(module.named_parameters())
    chosen: dict[str, Tensor] = {}
    for name, given in weights.items():
        if name == "norm_eps":
            continue
        fits = [its for its, parameter in left.items() if _same_shape(parameter, given)]
        kind = name.rpartition("_")[2]
        fits.sort(key=lambda its: its.rpartition(".")[2] != kind)
        if not fits:
            return False
        chosen[fits[0]] = given
        del left[fits[0]]
    if left:
        return False
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for its, given in chosen.items():
            parameters[its].copy_(given.reshape(parameters[its].shape))
    for part in module.modules():
        if isinstance(part, nn.LayerNorm) and "norm_eps" in weights:
            part.eps = float(weights["norm_eps"])
    return True


def _same_shape(parameter: Tensor, given: Tensor) -> bool:
    return parameter.shape == given.shape or parameter.numel() == given.numel() == 1
