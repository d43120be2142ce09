"""In which order laws are tried: what a law rests on comes first, and as many at once as there are runners."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from sdtps_ref.properties.certificates.certificate import LawResult
from sdtps_ref.properties.engine.runner import Runner
from sdtps_ref.properties.kit.law import BATCHING_LAW, Law

BATCHED_EXAMPLES = 4


def per_call(results: Mapping[str, LawResult]) -> int:
    """How many examples one call may judge: several once it is shown that samples do not depend on each other."""
    shown = BATCHING_LAW in results and results[BATCHING_LAW].status == "passed"
    return BATCHED_EXAMPLES if shown else 1


def run_laws(
    laws: Mapping[str, Law],
    runners: Sequence[Runner],
    results: dict[str, LawResult],
    excused: Callable[[Law], LawResult | None],
    announce: Callable[[LawResult], None],
    tried: Callable[[Law, Runner, int], LawResult] = lambda law, runner, count: runner.tried(law, count),
) -> None:
    """Fill `results` with a result for each of `laws` that has none yet; each is announced as it comes.

    excused: the result of a law that needs no trial; asked once the laws that it rests on have their results.
    tried: the result of one that needs it, at a runner and with so many examples to a call.
    """

    def take(result: LawResult) -> None:
        results[result.id] = result
        announce(result)

    waiting = {law_id: law for law_id, law in laws.items() if law_id not in results}
    if len(runners) == 1:  # in this thread, where an implementation's own code may expect to be
        for law in waiting.values():
            take(excused(law) or tried(law, runners[0], per_call(results)))
        return

    free, running = list(runners), dict[Future[LawResult], Runner]()
    pool = ThreadPoolExecutor(len(runners))
    try:
        while waiting or running:
            for law in [law for law in waiting.values() if results.keys() >= _needed(law, laws)]:
                if settled := excused(law):
                    del waiting[law.id]
                    take(settled)
                elif free:
                    runner = free.pop()
                    running[pool.submit(tried, waiting.pop(law.id), runner, per_call(results))] = runner
            for done in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                free.append(running.pop(done))
                take(done.result())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _needed(law: Law, laws: Mapping[str, Law]) -> set[str]:
    """What `law` must wait for: what it rests on, and, so that equal seeds try equal cases, what lets it be packed."""
    order = list(laws)
    waits = BATCHING_LAW in laws and order.index(law.id) > order.index(BATCHING_LAW)
    return {*law.depends, *[BATCHING_LAW] * waits}
