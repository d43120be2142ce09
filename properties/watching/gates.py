"""Gates that are open or shut by a threshold: which are open, and the bias that they start with."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.watching.choosing import is_hard
from sdtps_ref.properties.watching.passes import Passes
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.sites import Site
from sdtps_ref.properties.watching.starting import where_started

TURNS = ("rsub", "__rsub__", "logical_not", "__invert__", "bitwise_not", "masked_fill", "masked_fill_", "eq", "__eq__")


def mask_of(reading: Reading, site: Site) -> Tensor | None:
    """B N: D, or the channel of it that is used."""
    decision = site.by_sample(site.decision.detach())  # type: ignore[union-attr]
    decision = decision.squeeze(-1) if decision.dim() == 3 and decision.shape[-1] == 1 else decision
    if decision.dim() == 2:
        return decision > 0.5 if decision.numel() == site.ranked.numel() else None
    for number in reading.graph.descendants(site.decision_call.number):  # type: ignore[union-attr]
        call = reading.watched.calls[number]
        for tensor in call.tensors if call.name in ("__getitem__", "select", "unbind") else ():
            if tensor.requires_grad and tensor.shape == decision.shape[:2] and is_hard(tensor):
                return tensor.detach() > 0.5
    return None


def is_turned(reading: Reading, site: Site) -> bool:
    """Whether what D leaves out may be what is used: somewhere it is taken from one, or negated."""
    numbers = reading.graph.descendants(site.decision_call.number)  # type: ignore[union-attr]
    return any(reading.watched.calls[n].name in TURNS for n in numbers)


def made_of_the_logit(module: nn.Module, asked: float) -> list[str]:
    """Names of tensors, and of plain numbers, that are the logit of the share, by either sign, in every entry."""
    logit = abs(math.log(asked / (1 - asked)))
    tensors = [*module.named_parameters(), *module.named_buffers()]
    numbers = [(f"{name}.{own}" if name else own, value) for name, part in module.named_modules()
               for own, value in vars(part).items() if type(value) is float]  # fmt: skip
    tensors = [(name, t.detach().double()) for name, t in tensors if t.is_floating_point() and t.numel()]
    tensors += [(name, torch.tensor(value, dtype=torch.float64)) for name, value in numbers]
    return [name for name, t in tensors if bool(((t.abs() - logit).abs() < 1e-3 * logit).all())] if logit else []


def line_of_the_bias(passes: Passes, asked: float) -> SourceLine | None:
    module = passes.subject.module
    lines = where_started(passes.subject, made_of_the_logit(module, asked)) if module is not None else []
    return lines[0] if lines else None
