"""Where an implementation is tried: in this process, or (see `isolation`) in one of its own."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.certificates.certificate import Failure, LawResult
from sdtps_ref.properties.contract import METHODS, provided
from sdtps_ref.properties.engine.at_work import unwritten
from sdtps_ref.properties.engine.law_run import LawRun
from sdtps_ref.properties.engine.reproduce import reproduced
from sdtps_ref.properties.engine.settings import RunSettings
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.global_state import preserve_functions
from sdtps_ref.properties.kit.law import Law, all_laws
from sdtps_ref.properties.targets.adapters import Adapted
from sdtps_ref.properties.targets.target import describe


@dataclass(frozen=True)
class ImplementationInfo:
    """What is known of an implementation before any law is tried.

    description: as on the certificate. exempt: laws that cannot be judged on it, with the reason. told: lines
    about how it was found, for the console. unwritten: by method that it has and that is no method yet, why.
    """

    description: dict[str, Any]
    exempt: dict[str, str]
    told: Sequence[str] = ()
    unwritten: Mapping[str, str] = field(default_factory=dict)

    @property
    def methods(self) -> list[str]:
        """The contract's methods that it has."""
        return self.description["methods"]


class Runner(Protocol):
    """One implementation where it can be tried. isolation: in words, for the certificate."""

    about: ImplementationInfo
    isolation: str

    def tried(self, law: Law, per_call: int = 1, *, shared: Sequence[Case] = (), only: Case | None = None) -> LawResult:
        """Hold the implementation to one law. Never raises, whatever the implementation does.

        per_call: how many drawn examples one call may judge, along the batch axis; more than one only where samples
        are known not to depend on each other. shared: cases on which some implementation broke the law, to be
        tried first. only: the one case to try it on.
        """

    def reproduced(self, failures: Sequence[Failure]) -> list[bool]:
        """Of each failure, whether its script shows it."""

    def close(self) -> None:
        """Give back what it holds."""


class InProcessRunner:
    """In this process: what hangs, hangs here."""

    def __init__(self, implementation: Any, settings: RunSettings, isolation: str = "none", told: Sequence[str] = ()):
        given = provided(implementation)
        with _calm_torch(), preserve_functions("the implementation", set()):
            missing = unwritten(implementation, given)
        self.methods = tuple(method for method in given if method not in missing)
        if not self.methods:
            lacking = "; ".join(missing.values()) or "it has none of the contract's methods"
            raise InvalidInput.given(
                f"{type(implementation).__name__}, of which nothing can be measured: {lacking}",
                f"an object with one or more of {', '.join(METHODS)}",
            )
        self.implementation, self.settings, self.isolation = implementation, settings, isolation
        exempt = implementation.exempt if isinstance(implementation, Adapted) else lambda law: ""
        self.about = ImplementationInfo(
            describe(implementation, settings.target) | {"methods": list(self.methods)},
            {law.id: why for law in all_laws().values() if (why := exempt(law))},
            (*told, *(f"{said}, so it counts as missing" for said in missing.values())),
            missing,
        )

    def tried(
        self,
        law: Law,
        per_call: int = 1,
        watch: Callable[[Case], None] = lambda case: None,
        *,
        shared: Sequence[Case] = (),
        only: Case | None = None,
    ) -> LawResult:
        """Hold the implementation to one law. watch: is told each case before it is tried."""
        started = time.perf_counter()
        if only is not None:
            law = dataclasses.replace(law, domain=dataclasses.replace(law.domain, fixed=(only,)))
        law_run = LawRun(law, self.implementation, self.methods, watch)
        notes, expected = law_run.notes, self.settings.expected.get(law.id)
        with _calm_torch(), preserve_functions("the implementation", notes, threads_too=law.budget == "eager"):
            known = expected.case if expected else None
            law_run.run(
                self.settings.profile,
                self.settings.seed,
                self.settings.device,
                per_call,
                known=known,
                shared=shared,
            )
            result = law_run.result(self.settings.profile, self.settings.target)
        return dataclasses.replace(result, notes=tuple(sorted(notes)), seconds=time.perf_counter() - started)

    def reproduced(self, failures: Sequence[Failure]) -> list[bool]:
        """Of each failure, whether its script shows it."""
        with _calm_torch():
            return reproduced(failures, self.implementation, has_target=self.settings.target is not None)

    def close(self) -> None:
        """Holds nothing."""


@contextlib.contextmanager
def _calm_torch() -> Iterator[None]:
    """Keep the caller's generator and threads as they were. On one thread, because small tensors gain nothing
    from more, and on a busy machine threads that wait for each other take ten times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(), torch.enable_grad(), _graphs_kept():
            yield
    finally:
        torch.set_num_threads(threads)


def _graphs_kept() -> contextlib.AbstractContextManager[object]:
    """Laws go backward more than once, which code that compiles itself forbids while it reuses its buffers."""
    from torch._functorch import config

    return config.patch(donated_buffer=False) if hasattr(config, "donated_buffer") else contextlib.nullcontext()
