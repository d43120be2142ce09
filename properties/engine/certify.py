"""Hold an implementation to the laws and write the certificate."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.certificates.expected import GivenExpected
from sdtps_ref.properties.contract import CALL
from sdtps_ref.properties.engine.budget import Budget
from sdtps_ref.properties.engine.causes import causes_of, failing_of
from sdtps_ref.properties.engine.environment import environment
from sdtps_ref.properties.engine.example_database import GivenDatabase
from sdtps_ref.properties.engine.expectations import held_against
from sdtps_ref.properties.engine.isolation.child import Refused, SubprocessRunner
from sdtps_ref.properties.engine.isolation.subject import CannotTravel, pickled
from sdtps_ref.properties.engine.make_settings import make_settings
from sdtps_ref.properties.engine.runner import ImplementationInfo, InProcessRunner, Runner
from sdtps_ref.properties.engine.schedule import per_call, run_laws
from sdtps_ref.properties.engine.settings import Limits, Profile, RunSettings, usual_memory
from sdtps_ref.properties.kit.law import Law


def check_implementation(
    implementation: Any,
    *,
    profile: str | Profile = "quick",
    laws: Iterable[str] | None = None,
    seed: int | None = None,
    device: str = "cpu",
    target: str | None = None,
    isolated: bool = True,
    limits: Limits | None = None,
    reproduce: bool = True,
    expected_failures: GivenExpected | None = None,
    database: GivenDatabase | None = None,
    announce: Callable[[LawResult], None] = lambda result: None,
) -> Certificate:
    """Hold `implementation` (see `contract.Implementation`) to the laws and return the certificate.

    profile: quick, ci or deep. laws: ids or stages, None for all; a law that is named by its id is judged
    even where the profile has no time for its kind. seed: of the drawn cases; the same seed draws the same
    cases. None is 0, but in profile deep a new one. target: how a script finds the implementation, if it has a place.
    isolated: try it in a child process, where it may hang or die, under `limits` (the profile's when None).
    An object that cannot be pickled, or not be unpickled there, is tried in this process, and the certificate
    says so; say False to step through it in a debugger. reproduce: run each failure's script and record whether
    it showed the failure. expected_failures: a TOML file, or {law id: reason or ExpectedFailure}: what is known
    to fail, which then must fail, and does not refuse. database: one or several directories or Redis URLs with
    failing cases that are shared; "none" for none, which is what None means but in profile deep. announce:
    called with each result as it comes. The implementation's own mistakes become statuses; InvalidInput is raised
    for an unknown profile or law, an object with none of the contract's methods, expected failures that make no
    sense, or a database out of reach.
    """
    named = None if laws is None else tuple(laws)
    settings = make_settings(
        profile, seed, device, target=target, laws=named, expected_failures=expected_failures, database=database
    )
    usual = Limits(settings.profile.seconds, usual_memory(device))
    budget = Budget(settings.profile.whole if isolated and limits is None else None)
    runner = _runner(implementation, settings, limits or usual, isolated, budget)
    try:
        return certificate_of([runner], settings, budget=budget, reproduce=reproduce, announce=announce)
    finally:
        runner.close()


def _runner(implementation: Any, settings: RunSettings, limits: Limits, isolated: bool, budget: Budget) -> Runner:
    here = InProcessRunner(implementation, settings, "none, as asked")
    if not isolated:
        return here
    try:
        return SubprocessRunner(pickled(implementation, settings.target), settings, limits, budget=budget)
    except (CannotTravel, Refused) as why:
        here.isolation = f"none: {why}"
        return here


def certificate_of(
    runners: Sequence[Runner],
    settings: RunSettings,
    *,
    so_far: Mapping[str, LawResult] | None = None,
    budget: Budget | None = None,
    reproduce: bool = True,
    announce: Callable[[LawResult], None] = lambda result: None,
) -> Certificate:
    """Hold the implementation, which is at each of the `runners`, to the laws of `settings`.

    so_far: results it has. budget: how long it may take, no end where None. Closes the runners.
    """
    started = time.perf_counter()
    selected = {law.id: law for law in settings.selected().values() if law.speaks_of(runners[0].about.methods)}
    results = dict(so_far or {})
    budget = budget or Budget()

    def announced(result: LawResult) -> None:
        budget.take(result)
        announce(result)

    run_laws(
        selected,
        runners,
        results,
        excused=lambda law: excused(law, runners[0].about, results, settings) or budget.refused(law),
        tried=lambda law, runner, count: tried(law, runner, count, settings),
        announce=announced,
    )
    results = {law_id: results[law_id] for law_id in selected}
    readings = _examined(results, runners[0], budget)
    if reproduce:
        results = _with_scripts_run(results, runners[0], budget.for_scripts())
    return Certificate(
        implementation=runners[0].about.description | _what_it_did(runners),
        environment=environment(settings, runners[0].isolation),
        laws=tuple(results.values()),
        seconds=time.perf_counter() - started,
        causes=causes_of(results.values(), readings),
    )


def _examined(results: Mapping[str, LawResult], runner: Runner, budget: Budget) -> dict[str, Any]:
    """What a short look at the implementation reads, where something failed and nothing speaks against another look."""
    failing = tuple(failing_of(results.values()))
    return runner.examined(failing) if failing and not budget.strikes and not runner.meddling else {}


def excused(
    law: Law, about: ImplementationInfo, so_far: Mapping[str, LawResult], settings: RunSettings
) -> LawResult | None:
    """Why there is nothing to try: skipped or blocked; None where the law must be tried."""
    why, status = "", "skipped"
    if missing := law.missing(about.methods):
        said = [about.unwritten[method] for method in missing.split(" or ") if method in about.unwritten]
        why = f"needs {missing}, which the implementation lacks{': ' * bool(said)}{'; '.join(said)}"
        if list(about.methods) == [CALL]:
            why = "judged where selector and pipeline are handed over; here one call was judged"
    elif law.budget not in settings.profile.budgets and law.id not in (settings.laws or ()):
        why = f"profile {settings.profile.name} has no time for budget {law.budget!r}; ci has, and --law {law.id}"
    elif law.id in about.exempt:
        why = about.exempt[law.id]
    else:
        fallen = [each for each in law.depends if so_far[each].status not in ("passed", "xpassed", "skipped")]
        if fallen:
            why, status = f"rests on {fallen[0]}, which did not pass", "blocked"
    return LawResult(law.id, law.level, status, reason=why) if why else None  # type: ignore[arg-type]


def judge(law: Law, implementation: Any, so_far: Mapping[str, LawResult], settings: RunSettings) -> LawResult:
    """Hold `implementation` to one law, in this process. so_far: the results of the laws it rests on, at least."""
    runner = InProcessRunner(implementation, settings)
    return excused(law, runner.about, so_far, settings) or tried(law, runner, per_call(so_far), settings)


def tried(law: Law, runner: Runner, per_call: int, settings: RunSettings) -> LawResult:
    """What became of the law at `runner`, and what that means where it was expected to fail.

    Examples are shared from here and not from the runner: an implementation has no business with the database.
    """
    examples = None if law.domain.fixed else settings.examples  # fixed cases are all tried anyway
    lost = len(examples.lost) if examples else 0
    result = runner.tried(law, per_call, shared=examples.cases(law.id) if examples else ())
    if examples and result.failure:
        examples.remember(law.id, result.failure.case.portable(settings.device))
    if examples and len(examples.lost) > lost:
        result = dataclasses.replace(result, notes=(*result.notes, *examples.lost[lost:]))
    return held_against(result, settings.expected.get(law.id))


def _what_it_did(runners: Sequence[Runner]) -> dict[str, Any]:
    """What no law is about: what it left running, what it was read from, and with what it meddled."""
    notes = [*runners[0].about.description["notes"], *(line for runner in runners for line in runner.close())]
    meddling = sorted({line for runner in runners for line in runner.meddling})
    files = {name: known for runner in runners for name, known in runner.about.description["files"].items()}
    return {"notes": notes, "files": files} | ({"meddling": meddling} if meddling else {})


def _with_scripts_run(
    results: dict[str, LawResult], runner: Runner, seconds: float | None = None
) -> dict[str, LawResult]:
    """The results, with what became of each failure's script."""
    failures = {law_id: result.failure for law_id, result in results.items() if result.failure is not None}
    judging = {law_id: failure for law_id, failure in failures.items() if failure.judges and failure.reproduced is None}
    shown = runner.reproduced(tuple(judging.values()), seconds)
    run = {
        law_id: dataclasses.replace(results[law_id], failure=dataclasses.replace(failure, reproduced=shows))
        for (law_id, failure), shows in zip(judging.items(), shown, strict=True)
    }
    return results | run
