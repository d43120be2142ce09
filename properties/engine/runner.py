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
from sdtps_ref.properties.engine.causes.examination import examined
from sdtps_ref.properties.engine.deciding import Deciding
from sdtps_ref.properties.engine.deciding import told as told_of
from sdtps_ref.properties.engine.law_run import LawRun
from sdtps_ref.properties.engine.loaded_files import LoadedFiles
from sdtps_ref.properties.engine.reproduce import reproduced
from sdtps_ref.properties.engine.settings import RunSettings
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.global_state import preserve_functions
from sdtps_ref.properties.kit.law import Law, all_laws
from sdtps_ref.properties.targets.adapters import Adapted
from sdtps_ref.properties.targets.target import describe, source_of


@dataclass(frozen=True)
class ImplementationInfo:
    """What is known of an implementation before any law is tried.

    description: as on the certificate. exempt: laws that cannot be judged on it, with the reason. told: lines
    about how it was found, for the console. unwritten: by method that it has and that is no method yet, why.
    base: the folder from which its files are named.
    """

    description: dict[str, Any]
    exempt: dict[str, str]
    told: Sequence[str] = ()
    unwritten: Mapping[str, str] = field(default_factory=dict)
    base: str = ""

    def also_read(self, files: Mapping[str, str]) -> None:
        """Note files that it was read from since."""
        self.description["files"] = self.description["files"] | files

    @property
    def methods(self) -> list[str]:
        """The contract's methods that it has."""
        return self.description["methods"]


class Runner(Protocol):
    """One implementation where it can be tried.

    isolation: in words, for the certificate. meddling: what it did to the judge, after which nothing counts that is
    measured on it.
    """

    about: ImplementationInfo
    isolation: str
    meddling: list[str]

    def tried(self, law: Law, per_call: int = 1, *, shared: Sequence[Case] = (), only: Case | None = None) -> LawResult:
        """Hold the implementation to one law. Never raises, whatever the implementation does.

        per_call: how many drawn examples one call may judge, along the batch axis; more than one only where samples
        are known not to depend on each other. shared: cases on which some implementation broke the law, to be
        tried first. only: the one case to try it on.
        """

    def reproduced(self, failures: Sequence[Failure], seconds: float | None = None) -> list[bool | None]:
        """Of each failure, whether its script shows it; None where it was not run within `seconds` for all of them."""

    def examined(self, failed: Sequence[str]) -> dict[str, Any]:
        """What a short look at the implementation reads, for the causes of these laws' failures; see `causes`."""

    def close(self) -> list[str]:
        """Give back what it holds. Returns lines about what was left there."""


def distrusted(law: Law, meddling: Sequence[str]) -> LawResult:
    """The result of a law at an implementation that meddled with the judge."""
    return LawResult(law.id, law.level, "error", reason=f"what is measured here counts no longer: {meddling[0]}")


class InProcessRunner:
    """In this process: what hangs, hangs here."""

    def __init__(
        self,
        implementation: Any,
        settings: RunSettings,
        isolation: str = "none",
        told: Sequence[str] = (),
        *,
        deciding: Deciding | None = None,
        files: LoadedFiles | None = None,
        memory_gib: float | None = None,
        trial: bool = True,
    ):
        self.deciding = deciding or Deciding()
        if replaced := self.deciding.replaced():
            raise InvalidInput(f"when it was loaded, {told_of(replaced)}; accepted: code that leaves that alone")
        given = provided(implementation)
        with calm_torch(), preserve_functions("the implementation", set()):
            missing = unwritten(implementation, given) if trial else {}
        self.methods = tuple(method for method in given if method not in missing)
        if not self.methods:
            lacking = "; ".join(missing.values()) or "it has none of the contract's methods"
            raise InvalidInput.given(
                f"{type(implementation).__name__}, of which nothing can be measured: {lacking}",
                f"an object with one or more of {', '.join(METHODS)}",
            )
        self.implementation, self.settings, self.isolation = implementation, settings, isolation
        self.memory_gib = memory_gib
        self.exhausted = False
        self.meddling: list[str] = []
        exempt = implementation.exempt if isinstance(implementation, Adapted) else lambda law: ""
        self.files = files or LoadedFiles()
        read = self.files.described(source_of(implementation))
        self.about = ImplementationInfo(
            describe(implementation, settings.target) | read | {"methods": list(self.methods)},
            {law.id: why for law in all_laws().values() if (why := exempt(law))},
            (*told, *(f"{said}, so it counts as missing" for said in missing.values())),
            missing,
            str(self.files.base or ""),
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
        law_run = LawRun(law, self.implementation, self.methods, watch, memory_gib=self.memory_gib)
        notes, expected = law_run.notes, self.settings.expected.get(law.id)
        with calm_torch(), preserve_functions("the implementation", notes, threads_too=law.budget == "eager"):
            known = expected.case if expected else None
            law_run.run(
                self.settings.profile,
                self.settings.seed,
                self.settings.device,
                per_call,
                known=known,
                shared=shared,
            )
            replaced = self.deciding.replaced()
            result = law_run.result(self.settings.profile, self.settings.target)
        self.exhausted |= law_run.exhausted
        self.about.also_read(self.files.files())
        if replaced and not self.meddling:
            self.meddling.append(told_of(replaced))
        if self.meddling:
            result = distrusted(law, self.meddling)
        return dataclasses.replace(result, notes=tuple(sorted(notes)), seconds=time.perf_counter() - started)

    def reproduced(self, failures: Sequence[Failure], seconds: float | None = None) -> list[bool | None]:
        """Of each failure, whether its script shows it."""
        has_target = self.settings.target is not None
        with calm_torch():
            return reproduced(
                failures, self.implementation, has_target=has_target, seconds=seconds, memory_gib=self.memory_gib
            )

    def examined(self, failed: Sequence[str]) -> dict[str, Any]:
        """What a short look at the implementation reads, for the causes of these laws' failures; see `causes`."""
        with calm_torch(), preserve_functions("the implementation", set()):
            return examined(self.implementation, self.methods, failed, self.settings.device)

    def close(self) -> list[str]:
        """Holds nothing."""
        return []


@contextlib.contextmanager
def calm_torch() -> Iterator[None]:
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
