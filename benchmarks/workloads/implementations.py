"""Who is timed: the reference with both masks, torch.compile of anything, and whatever a target names."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch

from sdtps_ref.properties.contract import provided
from sdtps_ref.properties.reference import Reference
from sdtps_ref.properties.targets.target import resolve

STAGE_METHODS = {
    "selection": "selector",
    "aggregation": "aggregator",
    "pipeline": "pipeline",
    "multimodal": "multimodal",
}


@dataclass(frozen=True)
class Subject:
    """Something to be timed. eager: what it does before torch.compile, None where it is not compiled."""

    name: str
    implementation: Any
    eager: Any = None
    target: str | None = None

    @property
    def compiled(self) -> bool:
        """Whether torch.compile stands between this and the code as written."""
        return self.eager is not None


class Compiled:
    """An implementation whose every part goes through torch.compile; it has the methods that the given one has."""

    def __init__(self, eager: Any):
        self.eager = eager
        self.name = f"torch.compile of {getattr(eager, 'name', type(eager).__name__)}"
        for method in STAGE_METHODS.values():
            if method in provided(eager):
                setattr(self, method, partial(_compiled, getattr(eager, method)))


def _compiled(factory: Callable[..., Any], **sizes: Any) -> Any:
    """What the factory makes, compiled for the sizes that it is called with: nothing is left for later to decide.

    What was compiled before is forgotten, and compiled again when it is next called: a few graphs of the same code
    reach a limit, beyond which torch runs it eagerly without a word.
    """
    torch.compiler.reset()
    _allow_repeated_backward()
    return torch.compile(factory(**sizes), dynamic=False)


def _allow_repeated_backward() -> None:
    """A backward pass that is timed runs again and again on one graph, so it must not reuse the graph's memory.

    torch.compile has reused it since 2.5, and refuses to run a backward pass twice; the switch is torch's own advice.
    """
    import torch._functorch.config as config

    if hasattr(config, "donated_buffer"):
        config.donated_buffer = False


@cache
def compiled(subject: Subject) -> Subject:
    """The same through torch.compile."""
    return Subject(
        f"{subject.name}, compiled", Compiled(subject.implementation), subject.implementation, subject.target
    )


@cache
def bundled() -> dict[str, Subject]:
    """The reference with the published mask and with the log mask, each also compiled."""
    eager = [Subject("reference, subtract", Reference("subtract")), Subject("reference, log", Reference("log"))]
    return {subject.name: subject for subject in (*eager, *map(compiled, eager))}


@cache  # the same object every time: it is certified once
def from_target(target: str) -> Subject:
    """What `target` names, as `sdtps certify` would load it. Raises TargetError."""
    return Subject(target, resolve(target).implementation, target=target)
