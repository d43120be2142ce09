"""What is trained in the user's own call belongs to the module."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine, line_that_sets
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.record import Call


@law(needs="call", domain=CALL)
def parameters_are_registered(probe: Probe) -> None:
    """Every parameter that a gradient reaches is among `module.parameters()`.

    Why: an optimizer is given `module.parameters()`. A layer that is in a plain list is not among them: its weights
    stay what they were at initialisation, are in no checkpoint, and do not move to the GPU with the rest.
    Breaks when: layers are kept in a list, a tuple or a dict of Python's own, or are made anew in every call.
    Remedy: `nn.ModuleList`, `nn.ModuleDict`, `nn.ParameterList`.
    """
    passes = passes_of(probe)
    module = passes.subject.module
    if module is None:
        raise Unsupported("a function has no parameters")
    reading = passes.reading()
    args, kwargs = passes.subject.make(0)
    owners = [module, *(part for part in (*args, *kwargs.values()) if isinstance(part, nn.Module))]
    known = {id(p) for owner in owners for p in owner.parameters()}
    lost: dict[int, tuple[Tensor, Call]] = {}
    for call in reading.watched.calls:
        for tensor in call.outside:
            if isinstance(tensor, nn.Parameter) and tensor.requires_grad and id(tensor) not in known:
                lost.setdefault(id(tensor), (tensor, call))
    lost = {key: found for key, found in lost.items() if reading.size(found[0]) > 0}
    if not lost:
        return
    tensor, call = next(iter(lost.values()))
    name, place = _holder(module, tensor) or ("", None)
    count = "1 parameter" if len(lost) == 1 else f"{len(lost)} parameters"
    where = f"self.{name} is no nn.ModuleList" if name else "they belong to no part of the module"
    raise Violation(
        f"{count} outside of module.parameters() that a gradient reaches: {where}",
        where=place or call.place,
        effect="no optimizer trains them, no checkpoint holds them, and .to(device) leaves them behind",
        fix="keep layers in nn.ModuleList or nn.ModuleDict, and parameters in nn.ParameterList",
    )


def _holder(module: nn.Module, tensor: Tensor) -> tuple[str, SourceLine | None] | None:
    """The attribute that holds it in a container of Python's own, and the line that sets that."""
    for part in module.modules():
        for name, value in vars(part).items():
            if not name.startswith("_") and _holds(value, tensor):
                return name, line_that_sets(type(part), name)
    return None


def _holds(value: Any, tensor: Tensor, depth: int = 3) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, nn.Module):
        return any(p is tensor for p in value.parameters())
    if isinstance(value, (list, tuple)) and depth:
        return any(_holds(part, tensor, depth - 1) for part in value)
    return value is tensor
