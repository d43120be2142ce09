"""How a case becomes tensors, and how an implementation is made ready.

Torch only and self-contained: a failure's script carries these functions' own source text, so that it
runs with torch and the implementation alone.
"""

from typing import Any

import torch
from torch import Tensor


def draw(kind: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """Float64 values of one kind; the axis 1 holds the tokens. close and subnormal: followed by a dtype's name."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(shape, dtype=torch.float64, generator=generator)
    if kind == "normal":
        return normal
    if kind == "distinct":  # a shuffled ramp: no two tokens within 4 / N of each other
        ramp = torch.linspace(-2, 2, shape[1], dtype=torch.float64)
        return ramp[normal.argsort(dim=1)]
    if kind == "ties":
        return normal.round()
    if kind == "constant":
        return normal[:, :1].expand(shape).clone()
    if kind == "huge":
        return normal * 1e4
    if kind == "tiny":
        return normal * 1e-30
    if kind == "far":  # from zero, each row to its own side
        return normal + torch.tensor([1000.0, -1000.0], dtype=torch.float64).repeat(shape[0])[: shape[0]].view(-1, 1)
    if kind == "outliers":
        return normal * torch.where(torch.arange(shape[1]) % 7 == 3, 100.0, 1.0).view(-1, 1)
    if kind == "zeros":  # every third token
        return normal * (torch.arange(shape[1]) % 3 != 1).double().view(-1, 1)
    name, _, dtype = kind.partition(" ")
    if name == "close":  # a unit in the last place from one to the next, above one
        return 1 + torch.finfo(getattr(torch, dtype)).eps * normal.argsort(dim=1).argsort(dim=1)
    if name == "subnormal":
        return normal * torch.finfo(getattr(torch, dtype)).tiny / 4
    raise ValueError(f"given kind {kind!r}; accepted: those of a case's scores and tokens")


def level(shape: tuple[int, ...], features: list[Tensor], spread: float, apart: bool, seed: int) -> Tensor:
    """Float64 tokens (B N C, N even) that are alike, but for `spread` times a normal value.

    apart: besides, they differ by vectors of one length that are orthogonal to the features (B C or B L C
    each) and sum to zero, so that products and cosines with features and with the mean token stay alike.
    """
    B, N, C = shape
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(B, 1, C, dtype=torch.float64, generator=generator)
    rise = torch.randn(B, N, C, dtype=torch.float64, generator=generator)
    tokens = common + spread * rise
    if apart:
        away = torch.randn(B, N // 2, C, dtype=torch.float64, generator=generator)
        avoided = torch.cat([common, *(f.detach().cpu().double().reshape(B, -1, C) for f in features)], dim=1)
        basis = torch.linalg.qr(avoided.transpose(1, 2)).Q  # B C L+1
        away = away - away @ basis @ basis.transpose(1, 2)
        away = away * C**0.5 / away.norm(dim=-1, keepdim=True)
        tokens = tokens + torch.cat([away, -away], dim=1)
    return tokens


def lay_out(values: Tensor, layout: str) -> Tensor:
    """The same values in other strides; `expanded` repeats the first sample, `one_channel` the first channel."""
    if layout == "transposed":
        return values.transpose(0, 1).contiguous().transpose(0, 1)
    if layout == "channels_first":  # B C N in memory, as a convolution leaves them
        return values.transpose(1, 2).contiguous().transpose(1, 2)
    if layout == "one_channel":
        return values[..., :1].expand(values.shape)
    if layout == "sliced":
        wide = values.new_zeros(*values.shape[:-1], 2 * values.shape[-1])
        wide[..., ::2] = values
        return wide[..., ::2]
    if layout == "expanded":
        return values[:1].expand(values.shape)
    return values


def modules_in(built: Any, depth: int = 3) -> list[torch.nn.Module]:
    """The modules that a factory's result runs: itself, or what a function, method or object holds."""
    if isinstance(built, torch.nn.Module):
        return [built]
    if depth == 0 or isinstance(built, (Tensor, str, bytes, int, float, type(None), type)):
        return []
    if isinstance(built, dict):
        held = list(built.values())
    elif isinstance(built, (list, tuple)):
        held = list(built)
    else:
        held = [cell.cell_contents for cell in getattr(built, "__closure__", None) or () if _is_filled(cell)]
        held += [getattr(built, name, None) for name in ("__self__", "func", "args", "keywords")]
        held += list(getattr(built, "__dict__", {}).values())
    return [module for part in held for module in modules_in(part, depth - 1)]


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # not bound yet
        return False


def prepare(built: Any, dtype: torch.dtype, device: str, training: bool) -> Any:
    """Move the modules behind `built` to dtype and device, and into train or eval mode; stir what starts at zero."""
    for module in modules_in(built):
        module.to(device=device, dtype=dtype).train(training)
        stir(module)
    return built


def stir(module: torch.nn.Module) -> bool:
    """Give weights that are all zero other values: uniform weights would let a wrong mask look right. A single number
    stays: zero may be the logarithm of a temperature or of a scale.
    """
    generator = torch.Generator().manual_seed(0)
    stirred = False
    for name, parameter in module.named_parameters():
        if (
            name.endswith("bias")
            or parameter.numel() == 1
            or torch.nn.parameter.is_lazy(parameter)
            or parameter.is_meta
            or not parameter.is_floating_point()
            or parameter.any()
        ):
            continue
        values = 0.5 * torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
        parameter.data.copy_(values)
        stirred = True
    return stirred


def gradient(output: Tensor, source: Tensor, cotangent: Tensor) -> Tensor:
    """d(output . cotangent) / d source; zeros where no path leads from one to the other."""
    if not output.requires_grad:
        return torch.zeros_like(source)
    (found,) = torch.autograd.grad(output, source, cotangent.to(output), retain_graph=True, materialize_grads=True)
    return found.detach()  # zeros that torch 2.8 and before materialise ask for a gradient


def spoiled(output: Tensor, source: Tensor, cotangent: Tensor) -> Tensor:
    """By how much a backward pass changes the gradient that it is given."""
    given = cotangent.to(output).clone()
    gradient(output, source, given)
    return given - cotangent.to(output)
