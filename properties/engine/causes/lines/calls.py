"""One call of each method of the contract, in small sizes, as it can be watched and followed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.engine.causes.bench import Bench
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.multimodal.inputs import NAMES, inputs_by_name
from sdtps_ref.properties.signals.model import built_model
from sdtps_ref.properties.watching.subject import Subject

ORDER = ("selector", "aggregator", "pipeline", "branches", "multimodal", "model")


@dataclass(frozen=True)
class OneCall:
    """A method's call. subject: makes it. decision: D's place among its arguments, where it is handed in."""

    method: str
    subject: Subject
    decision: int | None = None


def apart(call: Callable[[], Any]) -> Callable[[], Any]:
    """The same call, as one whose lines are looked for: those of whoever called the certifier are none of them."""
    return Subject("a call", call, lambda seed: ([], {})).run()


def one_call(bench: Bench, method: str, **changes: Any) -> OneCall:
    """A call of what the method's factory builds; built anew, so that no other reading finds a state changed."""
    probe = Probe(bench.implementation, bench.probe(**changes).case)
    arguments, built = _arguments(probe, method)
    if isinstance(arguments, Mapping):
        subject = Subject(method, built, lambda seed: ([], dict(arguments)), _module(built))
        return OneCall(method, subject)
    subject = Subject(method, built, lambda seed: (list(arguments), {}), _module(built))
    decision = 1 if method == "aggregator" else None
    return OneCall(method, subject, decision)


def _module(built: Any) -> nn.Module | None:
    return built if isinstance(built, nn.Module) else None


def _arguments(probe: Probe, method: str) -> tuple[Any, Any]:
    tokens, score = probe.tokens, probe.score.detach()
    if method == "model":
        module, inputs = built_model(probe)
        return {name: _cast(part, probe) for name, part in inputs.items()}, module
    if method == "multimodal":
        features = inputs_by_name(probe, NAMES)
        return list(features), probe.build(method, fresh=True, modalities=NAMES)
    built = probe.build(method, fresh=True)
    if method == "aggregator":
        kept = tokens[:, : probe.case.keep].contiguous()
        return [kept, torch.ones_like(kept[:, :, 0])], built
    if method == "branches":
        return [tokens, score, score.flip(-1).contiguous()], built
    return [tokens, score], built


def _cast(part: Any, probe: Probe) -> Any:
    if isinstance(part, Tensor) and part.is_floating_point():
        return part.detach().to(probe.case.device, probe.case.torch_dtype)
    return part
