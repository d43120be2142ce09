"""Hold an implementation to the laws, one after another, and write the certificate."""

import contextlib
import dataclasses
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis.errors import HypothesisException

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.adapters import Adapted
from sdtps_ref.properties.case import Case
from sdtps_ref.properties.certificate import Certificate, Failure, LawResult, Status, environment
from sdtps_ref.properties.contract import METHODS, provided
from sdtps_ref.properties.law import Budget, Discard, Law, Unsupported, Violation, select_laws
from sdtps_ref.properties.probe import Probe, SubjectError
from sdtps_ref.properties.reproduce import reproduced
from sdtps_ref.properties.target import describe, loader


@dataclass(frozen=True)
class Profile:
    """How hard to look. examples: drawn a law, after the corners. shrink: look for the smallest failing case.

    minimum: examples that must have said something about a law before it counts as passed. budgets: laws
    that take their time from another one are skipped.
    """

    name: str
    examples: int
    minimum: int
    shrink: bool = True
    budgets: tuple[Budget, ...] = ("eager",)


ALL_BUDGETS: tuple[Budget, ...] = ("eager", "compile", "distributed")
PROFILES = {
    p.name: p
    for p in (
        Profile("quick", 12, 10),
        Profile("ci", 100, 60, budgets=ALL_BUDGETS),
        Profile("deep", 1000, 500, budgets=ALL_BUDGETS),
    )
}


@dataclass(frozen=True)
class Terms:
    """On what terms laws are judged; the arguments of `check_implementation`.

    named: ids that were asked for one by one, which are judged whatever the profile has time for.
    """

    profile: Profile
    seed: int = 0
    device: str = "cpu"
    target: str | None = None
    named: tuple[str, ...] = ()


def check_implementation(
    implementation: Any,
    *,
    profile: str | Profile = "quick",
    laws: Iterable[str] | None = None,
    seed: int | None = None,
    device: str = "cpu",
    target: str | None = None,
    reproduce: bool = True,
    announce: Callable[[LawResult], None] = lambda result: None,
) -> Certificate:
    """Hold `implementation` (see `contract.Implementation`) to the laws and return the certificate.

    profile: quick, ci or deep. laws: ids or stages, None for all; a law that is named by its id is judged
    even where the profile has no time for its kind. seed: of the drawn cases, 0 when None;
    the same seed draws the same cases. target: how a script finds the implementation, if it has a place.
    reproduce: run each failure's script and record whether it showed the failure. announce: called with
    each result as it comes. The implementation's own mistakes become statuses; InvalidInput is raised
    for an unknown profile or law, or an object with none of the contract's methods.
    """
    named = tuple(laws or ())
    terms = Terms(named_profile(profile), seed or 0, device, target, named)
    selected = select_laws(None if laws is None else named)
    methods = provided(implementation)
    if not methods:
        raise InvalidInput.given(
            f"{type(implementation).__name__}, which has none of the contract's methods",
            f"an object with one or more of {', '.join(METHODS)}",
        )

    started = time.perf_counter()
    results: dict[str, LawResult] = {}
    for law_id, law in selected.items():
        results[law_id] = judge(law, implementation, results, terms)
        announce(results[law_id])
    if reproduce:
        results = _with_scripts_run(results, implementation, target)
    return Certificate(
        implementation=describe(implementation, target) | {"methods": list(methods)},
        environment=environment(device, terms.profile.name, terms.seed, None if laws is None else named),
        laws=tuple(results.values()),
        seconds=time.perf_counter() - started,
    )


def named_profile(profile: str | Profile) -> Profile:
    """The profile of that name. Raises InvalidInput for a name that is none."""
    if isinstance(profile, Profile):
        return profile
    if profile not in PROFILES:
        raise InvalidInput.given(f"profile={profile!r}", ", ".join(PROFILES))
    return PROFILES[profile]


def judge(law: Law, implementation: Any, so_far: Mapping[str, LawResult], terms: Terms) -> LawResult:
    """Hold `implementation` to one law. so_far: the results of the laws it rests on, at least."""
    missing = law.missing(provided(implementation))
    if missing:
        return LawResult(law.id, law.level, "skipped", reason=f"needs {missing}, which the implementation lacks")
    if law.budget not in terms.profile.budgets and law.id not in terms.named:
        reason = f"profile {terms.profile.name} has no time for budget {law.budget!r}; ci has, and --law {law.id}"
        return LawResult(law.id, law.level, "skipped", reason=reason)
    exempt = implementation.exempt(law) if isinstance(implementation, Adapted) else ""
    if exempt:
        return LawResult(law.id, law.level, "skipped", reason=exempt)
    for foundation in law.depends:
        if so_far[foundation].status not in ("passed", "skipped"):
            return LawResult(law.id, law.level, "blocked", reason=f"rests on {foundation}, which did not pass")
    started = time.perf_counter()
    trial = Trial(law, implementation)
    with _calm_torch():
        trial.run(terms.profile, terms.seed, terms.device)
        return dataclasses.replace(trial.result(terms.profile, terms.target), seconds=time.perf_counter() - started)


@contextlib.contextmanager
def _calm_torch() -> Iterator[None]:
    """Keep the caller's generator and threads as they were. On one thread, because small tensors gain nothing
    from more, and on a busy machine threads that wait for each other take ten times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(), torch.enable_grad():
            yield
    finally:
        torch.set_num_threads(threads)


def _with_scripts_run(results: dict[str, LawResult], implementation: Any, target: str | None) -> dict[str, LawResult]:
    """The results, with what became of each failure's script."""
    failures = {law_id: result.failure for law_id, result in results.items() if result.failure is not None}
    judging = {law_id: failure for law_id, failure in failures.items() if failure.judges}
    with _calm_torch():
        shown = reproduced(tuple(judging.values()), implementation, has_target=target is not None)
    run = {
        law_id: dataclasses.replace(results[law_id], failure=dataclasses.replace(failure, reproduced=shows))
        for (law_id, failure), shows in zip(judging.items(), shown, strict=True)
    }
    return results | run


class Trial:
    """One law on one implementation: the corners first, then what hypothesis draws."""

    def __init__(self, law: Law, implementation: Any):
        self.law, self.implementation = law, implementation
        self.executed, self.discarded, self.seconds_inside = 0, 0, 0.0
        self.classes: set[str] = set()
        self.findings: dict[str, Any] = {}
        self.unsupported = ""
        self.fault: tuple[Exception, Probe] | None = None

    def run(self, profile: Profile, seed: int, device: str) -> None:
        """Try the corners, then `profile.examples` drawn cases; keep the smallest failure."""
        for corner in self.law.domain.corners(device, seed):
            try:
                self.once(corner)
            except (Violation, SubjectError):
                if not profile.shrink:
                    return
                break  # hypothesis may find it on a smaller case
        if self.law.domain.fixed:
            return
        corner_fault, self.fault = self.fault, None

        @hypothesis_seed(seed)
        @settings(
            max_examples=profile.examples,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink) if profile.shrink else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            print_blob=False,
            verbosity=Verbosity.quiet,
        )
        @given(self.law.domain.strategy(device))
        def draw(case: Case) -> None:
            self.once(case)

        # What it ended on is in self.fault; a failure that does not repeat keeps its last sight.
        with contextlib.suppress(Violation, SubjectError, HypothesisException):
            draw()
        self.fault = self.fault or corner_fault

    def once(self, case: Case) -> None:
        """One example. Raises what the law raises; remembers what the certificate needs."""
        if isinstance(self.implementation, Adapted):
            case = self.implementation.fitted(case)
        probe = Probe(self.implementation, case)
        try:
            self.law.check(probe)
            self.executed += 1
            self.classes |= case.classes()
        except Discard:
            self.discarded += 1
        except Unsupported as reason:
            self.discarded += 1
            self.unsupported = str(reason)
        except (Violation, SubjectError) as fault:
            self.executed += 1
            self.fault = (fault, probe)
            raise
        except HypothesisException:
            raise
        except Exception as error:  # what the implementation gave is nothing that the law knows how to judge
            self.executed += 1
            self.fault = (SubjectError(error, f"judging {self.law.id}"), probe)
            raise self.fault[0] from error
        finally:
            self.findings |= probe.findings
            self.seconds_inside += probe.seconds_inside

    def result(self, profile: Profile, target: str | None) -> LawResult:
        """What the trial came to."""
        result = LawResult(
            id=self.law.id,
            level=self.law.level,
            status="passed",
            examples=self.executed,
            discarded=self.discarded,
            seconds_inside=self.seconds_inside,
            classes=tuple(sorted(self.classes)),
            findings=self.findings,
        )
        if self.fault:
            fault, probe = self.fault
            status: Status = "failed" if isinstance(fault, Violation) else "error"
            return dataclasses.replace(result, status=status, failure=_failure(fault, probe, target))
        if not self.executed and self.unsupported:
            return dataclasses.replace(result, status="skipped", reason=self.unsupported)
        least = len(self.law.domain.fixed) or profile.minimum
        if self.executed < least and not self.unsupported:
            reason = (
                f"only {self.executed} of {self.executed + self.discarded} cases said something, at least {least} must"
            )
            return dataclasses.replace(result, status="error", reason=reason)
        return result


def _failure(fault: Exception, probe: Probe, target: str | None) -> Failure:
    check, raised = (fault.check, fault.raised) if isinstance(fault, Violation) else (None, "")
    original = fault.original if isinstance(fault, SubjectError) else fault
    if isinstance(fault, SubjectError):
        raised = type(original).__name__
    return Failure(
        message=str(fault),
        case=probe.case,
        script=probe.script.render(check, str(fault), loader(target)),
        raised=raised,
        judges=check is not None or bool(raised),
        traceback="".join(traceback.format_exception(original)),
    )
