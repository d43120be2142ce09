"""What is trained in the user's own call belongs to the module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine, line_that_sets
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, learned, passes_of
from sdtps_ref.properties.watching.passes import Passes
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call, watch
from sdtps_ref.properties.watching.sites import reaches

STEPS = 6  # of training, in which a running mean moves
ALIKE = 1e-4  # of the largest slope, what rounding leaves between equal ones


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


@law(needs="call", depends="call.gradient_reaches_score", domain=CALL)
def deciding_parameters_are_trained(probe: Probe) -> None:
    """A parameter that changes what is kept gets a gradient.

    Why: an optimizer leaves it where it started, and nobody notices: the scores around it learn, the loss falls, and
    a learned threshold is the constant that it was built with.
    Breaks when: a threshold is compared with, which has no gradient, and is left out of the soft mask.
    Remedy: the same difference in both: `hard = (score > t)`, `soft = torch.sigmoid((score - t) / tau)`.
    """
    passes = passes_of(probe)
    module = passes.subject.module
    if module is None:
        raise Unsupported("a function has no parameters")
    reading, sites = decided(probe)
    if reading.loss() is None:
        raise Unsupported("nothing that is returned has a gradient")
    first_use = {id(t): call for call in reversed(reading.watched.calls) for t in call.outside}
    choices = [call.number for site in sites for call in (site.choice, *site.further)]
    for name, parameter in module.named_parameters():
        used = first_use.get(id(parameter))
        if not parameter.requires_grad or used is None or reading.gradient(parameter) is not None:
            continue
        if any(reaches(site.decision, parameter) for site in sites):  # type: ignore[arg-type]
            continue  # through D, which is returned for whoever uses it
        if any(reading.graph.depends(n, used.number) for n in choices) and _moves(passes, reading, parameter):
            raise Violation(
                f"{name} has a part in what is kept, and no gradient reaches it",
                where=used.place,
                effect="it stays what it was when the module was built",
                fix="let the soft mask have it too: torch.sigmoid((score - threshold) / tau)",
            )


def _moves(passes: Passes, reading: Reading, parameter: nn.Parameter) -> bool:
    """Whether the output of the same pass is another one where the parameter has other values."""
    before = parameter.detach().clone()
    try:
        with torch.no_grad():
            parameter.add_(1 + before.abs())
        after = passes.subject.reading().watched.outputs
    except Exception:
        return False
    finally:
        with torch.no_grad():
            parameter.copy_(before)
    return _differ(reading.watched.outputs, after)


def _differ(some: list[Tensor], others: list[Tensor]) -> bool:
    return any(
        one.shape != other.shape or not torch.allclose(one, other, rtol=1e-4, atol=1e-6, equal_nan=True)
        for one, other in zip(some, others, strict=False)
    )


@law(needs="call", depends="call.gradient_reaches_score", domain=CALL)
def rows_of_parameters_differ(probe: Probe) -> None:
    """Slots, queries and heads that start alike get gradients that differ.

    Why: rows of one parameter that are equal and get the same gradient stay equal in every step of training: M slots
    then do the work of one, whatever the loss.
    Breaks when: queries or slots are initialised to zeros, or to one row for all, and everything after is shared.
    Remedy: `nn.init.normal_(queries, std=0.02)`.
    """
    passes = passes_of(probe)
    module = passes.subject.module
    if module is None:
        raise Unsupported("a function has no parameters")
    reading, _ = learned(probe)
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            slope = reading.gradient(parameter)
            if slope is None or slope.shape != parameter.shape or parameter.dim() < 2 or parameter.numel() == 0:
                continue
            values, slopes = (t.detach().reshape(-1, t.shape[-1]) for t in (parameter, slope))
            if len(values) < 2 or not torch.equal(values, values[:1].expand_as(values)) or not slopes.any():
                continue
            if bool(((slopes - slopes[:1]).abs() <= ALIKE * slopes.abs().amax()).all()):
                raise Violation(
                    f"the {len(values)} rows of {name} are equal and get the same gradient: they stay equal for ever",
                    where=line_that_sets(type(part), name),
                    effect=f"{len(values)} of them do the work of one",
                    fix=f"nn.init.normal_(self.{name}, std=0.02)",
                )


@law(needs="call", depends="call.repeats", domain=CALL)
def state_is_saved(probe: Probe) -> None:
    """What training changes and evaluation uses is in the module's `state_dict`.

    Why: a checkpoint holds parameters and buffers. A running mean in a plain attribute is lost with the process: the
    model that is loaded starts from what the constructor set, and keeps other tokens than the one that was saved.
    Breaks when: `self.mean = torch.zeros(dim)` stands where a buffer is meant.
    Remedy: `self.register_buffer("mean", torch.zeros(dim))`.
    """
    subject = passes_of(probe).subject.copy()
    if subject is None or subject.module is None:
        raise Unsupported("the module cannot be copied")
    before = subject.state()
    for step in range(STEPS):
        watch(subject.run(step, going_on=True), step)
    after = subject.state()
    for name in subject.statistics():
        if name not in before or before[name].shape != after[name].shape or torch.equal(before[name], after[name]):
            continue
        outputs = []
        for state in (after, after | {name: before[name]}):
            subject.put_back(state)
            outputs.append(watch(subject.run(0, training=False), 0).outputs)
        if any(
            a.shape != b.shape or not torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(*outputs, strict=False)
        ):
            owner, _, own = name.rpartition(".")
            raise Violation(
                f"self.{own} is changed by training and used in eval mode, and no state_dict holds it",
                where=line_that_sets(type(subject.module.get_submodule(owner)), own),
                effect="a model that is saved and loaded again keeps other tokens",
                fix=f'self.register_buffer("{own}", ...)',
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
