"""The whole model: which of its parts are trained, what it hides, and where a gradient ends on its way to the score."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.engine.causes.bench import Bench, same
from sdtps_ref.properties.engine.causes.lines.calls import apart
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals.model import built_model, leaves, tensors, trainable
from sdtps_ref.properties.watching.graph import Graph
from sdtps_ref.properties.watching.record import Watched, watch

SIZES = {"batch": 4, "num_tokens": 9, "keep": 5, "dim": 32, "slots": 3, "dtype": "float32", "tau": 1.0}

SMALL = 1e-4  # a floor of 1e-3 keeps a slope bearable
REACH = 4  # calls behind the denominator: a difference, an epsilon, a root
DIVIDES = ("div", "__truediv__", "true_divide", "divide")
SPREADS = {
    "std": "a standard deviation",
    "var": "a standard deviation",
    "sqrt": "a length",
    "norm": "a length",
    "amax": "a maximum less a minimum",
    "max": "a maximum less a minimum",
    "amin": "a maximum less a minimum",
    "min": "a maximum less a minimum",
}


def training(bench: Bench) -> dict[str, Any]:
    """`model.untrained` parameters and inputs by the pooled outputs, `model.unused` ones, `model.hidden` ones."""
    probe = bench.probe(**SIZES)
    module, inputs = built_model(probe)
    owned = _owned(inputs, probe)
    watched = watch(lambda: module(**owned), seed=3)
    outputs = trainable(watched.output, "output")
    pooled = [out for out in outputs.values() if not _is_a_row(probe, out)]
    named = dict(module.named_parameters()) if isinstance(module, nn.Module) else {}
    sources = {name: p for name, p in named.items() if p.requires_grad}
    floats = {where: part for where, part in tensors(owned, "inputs") if part.is_floating_point()}
    total = torch.stack([(out * torch.randn_like(out)).sum() for out in pooled]).sum() if pooled else None
    wanted = {**sources, **{where: part for where, part in floats.items() if part.requires_grad}}
    moved = _gradients(total, wanted)
    known = {id(parameter) for parameter in named.values()}
    used = {id(t) for call in watched.calls for t in call.outside}
    ends = {watched.watch.number_of(out) for out in watched.outputs}
    hidden = [
        leaf for leaf in leaves(list(outputs.values())) if isinstance(leaf, nn.Parameter) and id(leaf) not in known
    ]
    return {
        "model.untrained": [name for name in wanted if not moved[name] and wanted[name].ndim > 1],
        "model.untrained_inputs": [where for where in floats if where in moved and not moved[where]],
        "model.unused": [name for name, source in {**sources, **floats}.items() if id(source) not in used],
        "model.hidden": len(hidden),
        "model.without_gradients": any(not call.grad_enabled and call.inputs + call.outside for call in watched.calls),
        "model.detaches": any(call.name in ("detach", "detach_") or _is_data(call) for call in watched.calls),
        "model.multiplies_by_zero": _by_zero(watched),
        "model.returns_rows": len(pooled) < len(outputs),
        "model.calls": len(ends),
    }


def _gradients(total: Tensor | None, sources: dict[str, Tensor]) -> dict[str, bool]:
    if total is None or not total.requires_grad:
        return dict.fromkeys(sources, False)
    found = torch.autograd.grad(total, list(sources.values()), allow_unused=True)
    return {name: slope is not None and bool(slope.any()) for name, slope in zip(sources, found, strict=True)}


def _by_zero(watched: Watched) -> bool:
    """Whether something that is trained is multiplied by the number zero."""
    products = ("mul", "__mul__", "__rmul__", "multiply")
    return any(
        call.name in products
        and any(isinstance(arg, (int, float)) and arg == 0 for arg in call.args)
        and any(t.requires_grad for t in call.read)
        for call in watched.calls
    )


def _is_data(call: Any) -> bool:
    return (
        call.name == "__get__"
        and bool(call.read)
        and call.read[0].requires_grad
        and not any(t.requires_grad for t in call.tensors if t.is_floating_point())
    )


def _owned(inputs: dict[str, Any], probe: Probe) -> dict[str, Any]:
    owned: dict[str, Any] = {}
    for name, part in inputs.items():
        floating = isinstance(part, Tensor) and part.is_floating_point()
        owned[name] = part.detach().to(probe.case.device, probe.case.torch_dtype).clone() if floating else part
        if floating:
            owned[name].requires_grad_()
    return owned


def _is_a_row(probe: Probe, output: Tensor) -> bool:
    return output.shape[-1] in (probe.case.num_tokens, probe.case.keep) and output.ndim == 2


def steepness(bench: Bench) -> dict[str, Any]:
    """`model.divides_by`: by what the model divides that is next to nothing where all tokens of a sample are alike."""
    probe = bench.probe(**SIZES)
    module, inputs = built_model(probe)
    owned = _owned(inputs, probe)
    for even in (True, False):  # all alike, then all zero
        given = {name: _alike(part, even) for name, part in owned.items()}
        watched = watch(apart(partial(module, **given)), seed=3)
        graph = Graph(watched.calls)
        for call in watched.calls:
            if call.name not in DIVIDES or len(call.read) < 2 or not float(call.read[1].detach().abs().amin()) < SMALL:
                continue
            made_by = watched.watch.number_of(call.read[1])
            behind = [] if made_by is None else [made_by, *graph.ancestors(made_by)]
            for number in behind[:REACH]:
                if by := SPREADS.get(watched.calls[number].name):
                    place = None if call.place is None else [call.place.file, call.place.line]
                    return {"model.divides_by": by, "model.divides_at": place}
    return {"model.divides_by": ""}


def _alike(part: Any, even: bool) -> Any:
    """Tokens, B N C, that are all alike, or all zero; another argument as it is."""
    if not (isinstance(part, Tensor) and part.ndim == 3 and part.is_floating_point()):
        return part
    alike = part.detach()[:, :1].expand_as(part) if even else torch.zeros_like(part.detach())
    return alike.contiguous().requires_grad_(part.requires_grad)


def samples(bench: Bench) -> dict[str, Any]:
    """`model.of_own_sample`: whether a sample alone gives what it gives in a batch, in eval mode."""
    probe = bench.probe(**{**SIZES, "training": False})
    module, inputs = built_model(probe)
    owned = _owned(inputs, probe)
    batch = {part.shape[0] for part in owned.values() if isinstance(part, Tensor) and part.ndim > 1}
    if len(batch) != 1:
        return {}
    first = {name: part[:1] if isinstance(part, Tensor) and part.ndim > 1 else part for name, part in owned.items()}
    whole, alone = trainable(module(**owned), ""), trainable(module(**first), "")
    return {"model.of_own_sample": all(same(alone[where], whole[where][:1], 1e-4) for where in whole if where in alone)}


EXAMINATIONS = (training, steepness, samples)
