"""How the code stands with what runs it in another way: compilers, other devices, what reads numbers in between."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.engine.causes.bench import Bench, same
from sdtps_ref.properties.engine.causes.examination.conduct import callables, floating_parts
from sdtps_ref.properties.engine.causes.lines.calls import apart
from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.watching.record import Watched, watch

READS_VALUES = ("__bool__", "item", "tolist", "__int__", "__float__", "__index__", "numpy", "__array__")


def _answer_and_slope(built: Any, probe: Probe) -> Tensor:
    """All numbers that come back, and the gradient that they send to the score, in one row."""
    parts = [part.flatten().double() for part in floating_parts(built(probe.tokens, probe.score))]
    whole = torch.cat(parts)
    slope = values.gradient(whole, probe.score, values.draw("normal", tuple(whole.shape[:1]) * 2, 5)[0].to(whole))
    return torch.cat([whole.detach(), slope.flatten().double()])


def reading_values(bench: Bench) -> dict[str, Any]:
    """`values.read_by`: whether Python looks at numbers in a tensor to decide what runs, and in which line."""
    for name, build in callables(bench):
        probe = bench.probe()
        built = build(probe)
        watched = watch(apart(partial(built, probe.tokens, probe.score)))
        for call in watched.calls:
            if call.name in READS_VALUES and call.read:
                return {"values.read_by": call.name, "values.read_in": name, "values.place": _place(watched, call)}
    return {"values.read_by": ""}


def _place(watched: Watched, call: Any) -> list[Any] | None:
    return None if call.place is None else [call.place.file, call.place.line]


def compiling(bench: Bench) -> dict[str, Any]:
    """`compiling.takes_another_way`: whether code that asks if it is being compiled then does something else."""
    was, answers = torch.compiler.is_compiling, []
    for asked in (was, lambda: True):
        torch.compiler.is_compiling = asked
        try:
            for _, build in callables(bench):
                probe = bench.probe()
                built = build(probe)
                torch.manual_seed(5)
                answers.append(_answer_and_slope(built, probe))
        finally:
            torch.compiler.is_compiling = was
    pairs = zip(answers[: len(answers) // 2], answers[len(answers) // 2 :], strict=True)
    return {"compiling.takes_another_way": not all(same(*pair) for pair in pairs)}


def devices(bench: Bench) -> dict[str, Any]:
    """`device.written_in`: whether a tensor is made on a device that was written down, on meta."""
    built = bench.probe(num_tokens=8).build("selector", fresh=True)
    for module in values.modules_in(built):
        module.to("meta")
    try:
        built(torch.empty(3, 8, 8, device="meta", dtype=torch.float64), torch.empty(3, 8, device="meta").double())
    except Exception as error:
        said = str(error)
        written = "device" in said and ("cpu" in said or "cuda" in said)
        return {
            "device.written_in": written,
            "device.values_needed": "item" in said or ("meta" in said and not written),
        }
    return {"device.written_in": False, "device.values_needed": False}


def ops(bench: Bench) -> dict[str, Any]:
    """`calls.made`: names of torch's calls that matter for compiling and determinism."""
    names: set[str] = set()
    for _, build in callables(bench):
        probe = bench.probe()
        built = build(probe)
        names |= {call.name for call in watch(partial(built, probe.tokens, probe.score)).calls}
    return {"calls.made": sorted(names)}


EXAMINATIONS = (reading_values, compiling, devices, ops)
