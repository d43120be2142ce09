"""One law on one implementation: stored cases, the corners, then what hypothesis draws; what that came to."""

import contextlib
import dataclasses
import errno
import math
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis.errors import HypothesisException

from sdtps_ref.properties.certificates.certificate import Failure, LawResult, Status
from sdtps_ref.properties.contract import CALL, provided
from sdtps_ref.properties.engine.budget import MEMORY
from sdtps_ref.properties.engine.settings import Profile
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.law import Law
from sdtps_ref.properties.kit.naming import UnnamedTensor
from sdtps_ref.properties.kit.outcomes import JUDGES_SIGNALS, Inconclusive, Unsupported, Violation, raised_by_judge
from sdtps_ref.properties.kit.probe import Probe, SubjectError, first_line
from sdtps_ref.properties.signals.plot_data import printable
from sdtps_ref.properties.targets.adapters import Adapted
from sdtps_ref.properties.targets.target import loader
from sdtps_ref.properties.watching.recipe import Recipe

ENOUGH = 3  # cases that a law must have judged; a profile may ask for fewer


class LawRun:
    """One law on one implementation: stored cases, the corners, then what hypothesis draws.

    methods: those of the contract that are to be looked at, all that it has where None. memory_gib: what this process
    may have. exhausted: that was asked for and more; it is not asked again.
    """

    def __init__(
        self,
        law: Law,
        implementation: Any,
        methods: Sequence[str] | None = None,
        watch: Callable[[Case], None] = lambda case: None,
        *,
        memory_gib: float | None = None,
    ):
        self.memory_gib = memory_gib
        self.exhausted = False
        self.law, self.implementation, self.watch = law, implementation, watch
        self.methods = provided(implementation) if methods is None else tuple(methods)
        self.executed, self.discarded, self.seconds_inside = 0, 0, 0.0
        self.classes: set[str] = set()
        self.findings: dict[str, Any] = {}
        self.evidence: dict[str, Any] = {}
        self.notes: set[str] = set()
        self.unsupported = ""
        self.fault: tuple[Exception, Probe] | None = None

    def run(
        self,
        profile: Profile,
        seed: int,
        device: str,
        per_call: int = 1,
        *,
        known: Case | None = None,
        shared: Sequence[Case] = (),
    ) -> None:
        """Try the corners, then `profile.examples` drawn examples, `per_call` to a case; keep the smallest failure.

        known: a case on which this implementation is known to fail. It comes before all others and, if it fails, it
        is what is reported, as it is: the same in every run. shared: what some implementation failed on, tried
        before the corners. Neither changes what is drawn.
        """
        if known is not None:
            try:
                self.once(self.law.domain.admitted(known, device))
            except (Violation, SubjectError):
                return
        stored = (self.law.domain.admitted(case, device) for case in shared)
        for case in dict.fromkeys([*stored, *self.law.domain.corners(device, seed)]):
            try:
                self.once(case)
            except (Violation, SubjectError):
                if self.exhausted or not profile.shrink:
                    return
                break  # hypothesis may find it on a smaller case
        if self.law.domain.fixed:
            return
        kept, self.fault = self.fault, None
        # What fails is sought again one example to a case, which shrinks further.
        for count in (1,) if kept else dict.fromkeys((per_call, 1) if profile.shrink else (per_call,)):
            self._draw(profile, seed, device, count)
            kept, self.fault, failed = self.fault or kept, None, self.fault is not None
            if not failed:
                break
        self.fault = kept

    def _draw(self, profile: Profile, seed: int, device: str, per_call: int) -> None:
        """Try what hypothesis draws, `per_call` examples to a case, and shrink what fails."""

        @hypothesis_seed(seed)
        @settings(
            max_examples=math.ceil(profile.examples / per_call),
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink) if profile.shrink else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            print_blob=False,
            verbosity=Verbosity.quiet,
        )
        @given(self.law.domain.strategy(device, per_call))
        def draw(case: Case) -> None:
            self.once(case)

        # What it ended on is in self.fault; a failure that does not repeat keeps its last sight.
        with contextlib.suppress(Violation, SubjectError, HypothesisException):
            draw()

    def once(self, case: Case) -> None:
        """One case. Raises what the law raises; remembers what the certificate needs.

        Where a packed case fails, its examples are tried one by one: the failure of one alone is the clearer one.
        """
        try:
            self._judge(case)
        except (Violation, SubjectError):
            for example in case.examples if case.packed else ():
                self._judge(example)
            raise

    def _judge(self, case: Case) -> None:
        if isinstance(self.implementation, Adapted):
            case = self.implementation.fitted(case)
        if self.exhausted and self.fault:  # it would take its time, and the memory, once more
            raise self.fault[0]
        self.watch(case)
        probe = Probe(self.implementation, case)
        probe.methods = self.methods
        try:
            self.law.check(probe)
            if probe.answers or CALL in self.law.needs:  # what is read off a watched call is asked elsewhere
                self.executed += len(case.examples)
                self.classes |= case.classes()
            else:  # the law found nothing to ask here, and so has nothing to say of the implementation
                self.discarded += len(case.examples)
        except (*JUDGES_SIGNALS, SubjectError) as signal:
            self._take(signal, probe)
        except KeyboardInterrupt:
            raise
        except UnnamedTensor:  # the law's own mistake, and nobody else's
            raise
        except BaseException as error:  # what the implementation gave is nothing that the law knows how to judge
            if CALL in self.law.needs:  # a form that nobody thought of is no fault of the user's own code
                self.discarded += 1
                self.unsupported = f"not judged: {type(error).__name__} while it was watched"
                return
            self._take(SubjectError(error, f"judging {self.law.id}"), probe)
        finally:
            self.findings |= {name: printable(found) for name, found in probe.findings.items()}
            self.evidence = probe.evidence | self.evidence  # the first corner's is the plainest to look at
            self.notes |= probe.notes
            self.seconds_inside += probe.seconds_inside

    def _take(self, signal: Exception, probe: Probe) -> None:
        """What a law raised to say what became of the case. Raises what is held against the implementation."""
        if signal.__traceback__ and not raised_by_judge(signal, self.law.check):  # a law only touched what it was given
            signal = SubjectError(signal, f"judging {self.law.id}")
        if isinstance(signal, Inconclusive):
            self.discarded += len(probe.case.examples)
        elif isinstance(signal, Unsupported):
            self.discarded += 1
            self.unsupported = str(signal)
        else:
            if self.memory_gib is not None and isinstance(signal, SubjectError) and _is_memory(signal.original):
                self.exhausted = True
                signal.args = (f"{MEMORY} ({self.memory_gib:g} GiB; --memory-limit)",)
            self.executed += 1
            self.fault = (signal, probe)
            raise signal

    def _recipe(self) -> Recipe | None:
        """Of the call that was watched, for a law of one; None for every other law, and for a closure."""
        return self.implementation.call().subject.recipe if CALL in self.law.needs else None

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
            evidence=self.evidence,
        )
        if self.fault:
            fault, probe = self.fault
            status: Status = "failed" if isinstance(fault, Violation) else "error"
            return dataclasses.replace(
                result,
                status=status,
                evidence=self.evidence | probe.evidence,
                failure=self._failure(fault, probe, target),
            )
        if not self.executed and self.unsupported:
            return dataclasses.replace(result, status="skipped", reason=self.unsupported)
        least = min(len(self.law.domain.fixed) or profile.minimum, ENOUGH)
        if self.executed < least and not self.unsupported:
            # Too little to pass by, and nothing to be held against the implementation.
            reason = (
                f"only {self.executed} of {self.executed + self.discarded} cases said something, at least {least} must"
            )
            return dataclasses.replace(result, status="skipped", reason=reason)
        return result

    def _failure(self, fault: Exception, probe: Probe, target: str | None) -> Failure:
        recipe = self._recipe()
        check, raised = (fault.check, fault.raised) if isinstance(fault, Violation) else (None, "")
        told = fault if isinstance(fault, Violation) else Violation("")
        original = fault.original if isinstance(fault, SubjectError) else fault
        if isinstance(fault, SubjectError):
            raised = type(original).__name__
        if recipe:
            script = recipe.script(str(fault))
        else:
            methods = {method for need in self.law.needs for method in need.split("|")}
            script = probe.script.render(check, str(fault), loader(target, self.implementation, methods), fault)
        return Failure(
            message=str(fault),
            case=probe.case,
            script=script,
            raised=raised,
            judges=not recipe and (check is not None or bool(raised)),
            traceback="".join(traceback.format_exception(original)),
            where=told.where,
            effect=told.effect,
            fix=told.fix,
        )


def _is_memory(error: BaseException) -> bool:
    said = first_line(error)
    asked = "can't allocate memory" in said or "not enough memory" in said
    return isinstance(error, MemoryError) or asked or getattr(error, "errno", None) == errno.ENOMEM
