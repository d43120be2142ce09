"""What is asked twice: each method of the contract with its arguments, and the answer that the first call gives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit import differences
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.execution_modes import memory
from sdtps_ref.properties.kit.expect import expect_close
from sdtps_ref.properties.kit.later_calls import answers, copies, disturbances
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.values import _is_filled, modules_in
from sdtps_ref.properties.laws.multimodal.inputs import NAMES, inputs_by_name
from sdtps_ref.properties.signals.model import own_inputs

BOTH = Domain(
    fixed=(
        Case(4, 9, 4, 16, 3, tau=0.3, scores="distinct"),
        Case(4, 9, 4, 16, 3, tau=0.3, scores="distinct", training=False, seed=1),
    )
)
TRAINING = Domain(fixed=BOTH.fixed[:1])
METHODS = ("selector", "aggregator", "pipeline", "branches", "multimodal", "model")
# Modalities are made of selectors and aggregators, as the model is: what takes a copy of everything leaves them out.
FEW = ("selector", "aggregator", "pipeline", "branches", "model")
SAME = 1e-5
CARRIED = (
    _is_filled,
    modules_in,
    differences.tensors_of,
    differences.along,
    *[
        value
        for part in (answers, disturbances, copies)
        for value in vars(part).values()
        if callable(value) and value.__module__ == part.__name__
    ],
)


@dataclass(frozen=True)
class Subject:
    """What is called, and with what. fresh: one more of it, with the same weights; or, given a seed, with others."""

    name: str
    fresh: Callable[..., Any]
    arguments: list[Any]
    named: dict[str, Any]


def subjects(probe: Probe, methods: tuple[str, ...] = METHODS) -> Iterator[Subject]:
    """All that the implementation offers, each ready to be called."""
    case = probe.case
    for method in methods:
        if method not in probe.methods:
            continue
        named: dict[str, Any] = {}
        if method == "model":

            def fresh(seed: int | None = None) -> Any:
                built = probe.build("model", fresh=True, seed=seed)
                probe.script.name(built[0], f"{probe.script.shown(built)}[0]")
                return built[0]

            arguments: list[Any] = []
            named = own_inputs(probe, dict(probe.build("model")[1]))
        elif method == "multimodal":
            arguments = list(inputs_by_name(probe, NAMES))
            fresh = partial(_fresh, probe, "multimodal", modalities=NAMES)
        else:
            fresh = partial(_fresh, probe, method)
            arguments = [probe.tokens, probe.score]
            if method == "aggregator":
                kept = probe.given("kept_tokens", probe.tokens[:, : case.keep])
                arguments = [kept, probe.given("decision", torch.ones_like(kept[:, :, 0]))]
            elif method == "branches":
                arguments.append(probe.given("other_score", probe.score.flip(-1)))
        yield Subject(method, fresh, arguments, named)


def _fresh(probe: Probe, method: str, seed: int | None = None, **changes: Any) -> Any:
    return probe.build(method, fresh=True, seed=seed, **changes)


def asked(probe: Probe, way: Callable[..., Any], subject: Subject, built: Any, *rest: Any, doing: str) -> Any:
    """What `built` answers, by one of the ways of the kit."""
    probe.script.carry(*CARRIED)
    return probe.through(way, built, *rest, name="found", doing=f"{subject.name}, {doing}")


def expect_answer(
    probe: Probe,
    subject: Subject,
    seen: dict[str, Tensor],
    owed: dict[str, Tensor],
    where: str,
    because: str,
    same: float = SAME,
) -> None:
    """Outputs and gradients are what is owed, but for rounding; `same` times their size."""
    size = max(
        (float(part.abs().amax()) for name, part in owed.items() if "output" in name and part.numel()), default=0
    )
    for name, part in owed.items():
        if name not in seen:
            continue
        tolerance = same * (float(part.abs().amax()) + size) if part.numel() else 0.0
        axes = "ijkl"[: part.ndim]
        title = f"{name} of the {subject.name} {where}"
        expect_close(probe, title, axes, seen[name], part, tolerance=tolerance + 1e-30, because=because)


def first_answer(probe: Probe, subject: Subject) -> tuple[Any, dict[str, Tensor]] | None:
    """A fresh one and what it answers first; None where a second one answers otherwise: then nothing is owed."""
    seed = probe.case.seed
    built = subject.fresh()
    owed = asked(
        probe,
        answers.answer,
        subject,
        built,
        subject.arguments,
        subject.named,
        seed,
        doing="called for the first time",
    )
    twin = subject.fresh()
    again = asked(
        probe,
        answers.answer,
        subject,
        twin,
        subject.arguments,
        subject.named,
        seed,
        doing="called for the first time",
    )
    same = all(torch.equal(part, again[name]) for name, part in owed.items()) and _same_memory(built, twin)
    return (built, owed) if same else None


def _same_memory(one: Any, other: Any) -> bool:
    first, second = memory(one), memory(other)
    return first.keys() == second.keys() and all(torch.equal(part, second[name]) for name, part in first.items())
