"""Hold an implementation to the laws, one after another, and write the certificate."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.adapters import Adapted
from sdtps_ref.properties.certificate import Certificate, LawResult, environment
from sdtps_ref.properties.contract import METHODS, provided
from sdtps_ref.properties.law import Law, select_laws
from sdtps_ref.properties.reproduce import reproduced
from sdtps_ref.properties.target import describe
from sdtps_ref.properties.terms import Profile, Terms, named_profile
from sdtps_ref.properties.trial import Trial


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
