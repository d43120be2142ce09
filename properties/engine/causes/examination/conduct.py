"""How the code behaves as a part of a program: what it writes to, remembers, and takes for granted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.contract import Selection
from sdtps_ref.properties.engine.causes.bench import Bench, same
from sdtps_ref.properties.kit import jacobians, values
from sdtps_ref.properties.kit.probe import Probe

ATTRIBUTES = tuple(Selection.__dataclass_fields__)  # a result may be a named tuple as well, or have slots
DTYPES = ("float32", "float64", "bfloat16", "float16")


def callables(bench: Bench) -> list[tuple[str, Callable[[Probe], Callable[..., Any]]]]:
    """The methods that can be called with tokens and a score, or with tokens and D."""
    made: list[tuple[str, Callable[[Probe], Callable[..., Any]]]] = []
    if bench.has("selector"):
        made.append(("selector", lambda probe: probe.build("selector")))
    if bench.has("pipeline"):
        made.append(("pipeline", lambda probe: probe.build("pipeline")))
    return made


def inputs(bench: Bench) -> dict[str, Any]:
    """`inputs.written`: whether what the caller passed is written to, with and without gradients."""
    written: list[str] = []
    for name, build in callables(bench):
        probe = bench.probe()
        built = build(probe)
        for grad in (True, False):
            tokens, score = probe.tokens.clone(), probe.score.detach().clone().requires_grad_(grad)
            before = (tokens.clone(), score.detach().clone(), tokens._version, score._version)
            with torch.set_grad_enabled(grad):
                built(tokens, score)
            now = (tokens, score.detach(), tokens._version, score._version)
            if not (torch.equal(now[0], before[0]) and torch.equal(now[1], before[1]) and now[2:] == before[2:]):
                written.append(f"{name}, {'with' if grad else 'without'} gradients")
    if bench.has("aggregator"):
        probe = bench.probe()
        tokens = probe.tokens[:, :4].clone()
        version, values_before = tokens._version, tokens.clone()
        probe.build("aggregator")(tokens, torch.ones_like(tokens[:, :, 0]))
        if tokens._version != version or not torch.equal(tokens, values_before):
            written.append("aggregator, with gradients")
    return {"inputs.written": written}


def repeats(bench: Bench) -> dict[str, Any]:
    """What a call finds changed by one before it: buffers, parameters born, the answer to the same input."""
    found: dict[str, Any] = {"state.buffers": [], "state.born": [], "state.answers": []}
    for name, build in callables(bench):
        for training in (True, False):
            probe = Probe(bench.implementation, bench.probe(training=training).case)
            first, later = build(probe), build(Probe(bench.implementation, probe.case))
            answers = []
            for built, calls in ((first, 0), (later, 2)):
                before = _kept_state(built)
                for step in range(calls):  # other tokens and scores of the same sizes
                    built(-2 * probe.tokens - step, (probe.score.detach() * 3 + 1).flip(-1))
                torch.manual_seed(5)
                answers.append(floats(built(probe.tokens, probe.score)))
                now = _kept_state(built)
                found["state.born"] += [key for key in now if key not in before]
                found["state.buffers"] += [
                    key for key in before if key in now and not torch.equal(before[key], now[key])
                ]
            if not all(same(one, other, 1e-9) for one, other in zip(*answers, strict=False)):
                found["state.answers"].append(f"{name}, {'train' if training else 'eval'}")
    return found


def slopes(bench: Bench) -> dict[str, Any]:
    """Whether D's gradient is as steep in the hundredth call as in the first: `state.temperature_moves`."""
    probe = Probe(bench.implementation, bench.probe().case)
    rates = []
    for calls in (0, 30):
        for seed in range(calls):
            probe.select(seed=seed)
        torch.manual_seed(0)
        rates.append(
            float(jacobians.softmax_behind(jacobians.jacobian(probe.select().decision, probe.score))[1].mean())
        )
    return {"state.temperature_moves": abs(rates[1] / rates[0] - 1) > 1e-9}


def _kept_state(built: Any) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for i, module in enumerate(values.modules_in(built)):
        named = [*module.named_parameters(), *module.named_buffers()]
        found |= {f"{i}.{name}": value.detach().clone() for name, value in named}
    return found


def floating_parts(result: Any) -> list[Tensor]:
    """The floating tensors in what came back."""
    held = [result] if isinstance(result, Tensor) else [getattr(result, name, None) for name in ATTRIBUTES]
    return [part for part in held if isinstance(part, Tensor) and part.is_floating_point()]


def floats(result: Any) -> list[Tensor]:
    """The same without their gradients."""
    return [part.detach() for part in floating_parts(result)]


def layouts(bench: Bench) -> dict[str, Any]:
    """`layout.other`: what tokens and scores of other strides come to: right, a wrong answer, or what was raised."""
    found: dict[str, Any] = {"layout.other": "right"}
    for name, build in callables(bench):
        probe = bench.probe(training=False)
        built = build(probe)
        owed = floats(built(probe.tokens, probe.score))
        for layout in ("transposed", "sliced", "channels_first", "one_channel"):
            tokens = values.lay_out(probe.tokens, layout)
            if layout == "one_channel":
                continue
            score = values.lay_out(probe.score.detach(), "sliced" if layout == "channels_first" else layout)
            try:
                seen = floats(built(tokens, score.requires_grad_()))
            except Exception as error:
                return {"layout.other": f"raised {type(error).__name__}", "layout.name": name}
            if not all(same(one, other) for one, other in zip(seen, owed, strict=False)):
                return {"layout.other": "wrong", "layout.name": name}
    return found


def dtypes(bench: Bench) -> dict[str, Any]:
    """`dtype.returned_otherwise`: dtypes in which something is returned in another one."""
    wrong = []
    for dtype in DTYPES:
        probe = bench.probe(dtype=dtype)
        for _, build in callables(bench):
            if any(part.dtype != probe.case.torch_dtype for part in floats(build(probe)(probe.tokens, probe.score))):
                wrong.append(dtype)
                break
    return {"dtype.returned_otherwise": wrong}


EXAMINATIONS = (inputs, repeats, slopes, layouts, dtypes)
