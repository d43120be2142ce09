"""A wrong answer has no speed: who may be timed, on the same device, in the same dtype, at the same size."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from sdtps_ref.benchmarks.workloads.implementations import Subject
from sdtps_ref.benchmarks.workloads.numerics import disagreement
from sdtps_ref.benchmarks.workloads.sizes import Size
from sdtps_ref.benchmarks.workloads.workloads import TAU
from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.contract import provided
from sdtps_ref.properties.engine.certify import check_implementation
from sdtps_ref.properties.engine.law_run import LawRun
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import SubjectError

COMPILED = "runtime.compiled_equals_eager"
WITHOUT_NOISE = "noise.is_absent_in_eval"
LAW_BATCH = 2  # samples at the timed size: laws that take Jacobians grow with the batch, and samples do not depend
JACOBIANS_UP_TO = Domain.max_tokens  # tokens; a law that takes a Jacobian takes one product for each


Certify = Callable[[Any, str | None, str, list[str] | None], Certificate]


def quick(implementation: Any, target: str | None, device: str, laws: list[str] | None) -> Certificate:
    """The certificate of profile quick on that device, or of those laws alone."""
    return check_implementation(implementation, laws=laws, device=device, target=target, reproduce=False)


@dataclass
class Admissions:
    """What has been asked so far in this run: each question once. certify: how certificates are made."""

    certify: Certify = quick
    _answers: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    _asked: list[Any] = field(default_factory=list)  # keeps what was asked about, so that no other takes its id

    def refusal(self, subject: Subject, stage: str, size: Size, dtype: str, device: str) -> str:
        """Why it must not be timed, as the table says it; empty where it may.

        In turn: profile `quick` on that device; for what is compiled, the law that compiled is eager; every law that
        can be judged at that size in that dtype; and the results that are timed against the same code in float64.
        """
        eager = subject.implementation if subject.eager is None else subject.eager
        certificate = self.certificate(eager, subject.target, device)
        if certificate.verdict != "certified":
            return _refused_by([law.id for law in certificate.laws if law.refuses])
        if subject.compiled:
            asked = self._once(self.certify, eager, subject.target, device, [COMPILED])
            if refusal := _as_compiled(asked):
                return refusal
        if refusal := self._once(_at_size, eager, size, dtype, device):
            return refusal
        quiet = any(law.id == WITHOUT_NOISE and law.status == "passed" for law in certificate.laws)
        return self._once(disagreement, subject, stage, size, dtype, device, quiet)

    def certificate(self, implementation: Any, target: str | None, device: str) -> Certificate:
        """Of profile quick on that device."""
        return self._once(self.certify, implementation, target, device, None)

    def _once(self, ask: Callable[..., Any], about: Any, *terms: Any) -> Any:
        key = (ask, id(about), str(terms))
        if key not in self._answers:
            self._asked.append(about)
            self._answers[key] = ask(about, *terms)
        return self._answers[key]


def _as_compiled(certificate: Certificate) -> str:
    """Profile quick has no time for compiling, so the law was asked for by name."""
    law = next(law for law in certificate.laws if law.id == COMPILED)
    if law.status == "passed":
        return ""
    if law.status == "skipped":
        return f"not compiled: {law.reason}"
    return _refused_by([law.id for law in certificate.laws if law.status in ("failed", "error")])


def _at_size(eager: Any, size: Size, dtype: str, device: str) -> str:
    """Hold it to every law whose domain admits that size and dtype; how many tokens is a matter of time alone."""
    case = Case(LAW_BATCH, size.N, size.K, size.C, size.M, tau=TAU, dtype=dtype, device=device)
    broken = []
    for law in all_laws().values():
        domain = law.domain
        takes_long = domain.max_tokens < Domain.max_tokens and size.N > JACOBIANS_UP_TO
        if law.level != "MUST" or law.budget != "eager" or law.missing(provided(eager)) or domain.fixed or takes_long:
            continue
        clipped = dataclasses.replace(domain, max_tokens=size.N).clip(case)
        if _timed(clipped) != _timed(case):
            continue
        trial = LawRun(law, eager)
        try:
            with torch.random.fork_rng(), torch.enable_grad():
                trial.once(clipped)
        except (Violation, SubjectError):
            broken.append(law.id)
    return _refused_by(broken) if broken else ""


def _timed(case: Case) -> tuple[Any, ...]:
    """What of a case is the same as in what is timed; values, layout and mode are the law's own affair."""
    return case.num_tokens, case.keep, case.dim, case.slots, case.dtype


def _refused_by(laws: list[str]) -> str:
    return f"refused by {', '.join(laws)}" if laws else "not certified: nothing was measured"
