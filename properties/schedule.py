"""In which order laws are tried: what a law rests on comes first, and as many at once as there are venues."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from sdtps_ref.properties.certificate import LawResult
from sdtps_ref.properties.law import EARLY, Law
from sdtps_ref.properties.venue import Venue

PACK = 4


def pack(results: Mapping[str, LawResult]) -> int:
    """How many examples one call may judge: several once it is shown that samples do not depend on each other."""
    shown = EARLY in results and results[EARLY].status == "passed"
    return PACK if shown else 1


def run_laws(
    laws: Mapping[str, Law],
    venues: Sequence[Venue],
    results: dict[str, LawResult],
    excused: Callable[[Law], LawResult | None],
    announce: Callable[[LawResult], None],
    tried: Callable[[Law, Venue, int], LawResult] = lambda law, venue, count: venue.tried(law, count),
) -> None:
    """Fill `results` with a result for each of `laws` that has none yet; each is announced as it comes.

    excused: the result of a law that needs no trial; asked once the laws that it rests on have their results.
    tried: the result of one that needs it, at a venue and with so many examples to a call.
    """

    def take(result: LawResult) -> None:
        results[result.id] = result
        announce(result)

    waiting = {law_id: law for law_id, law in laws.items() if law_id not in results}
    if len(venues) == 1:  # in this thread, where an implementation's own code may expect to be
        for law in waiting.values():
            take(excused(law) or tried(law, venues[0], pack(results)))
        return

    free, running = list(venues), dict[Future[LawResult], Venue]()
    pool = ThreadPoolExecutor(len(venues))
    try:
        while waiting or running:
            for law in [law for law in waiting.values() if results.keys() >= _needed(law, laws)]:
                if settled := excused(law):
                    del waiting[law.id]
                    take(settled)
                elif free:
                    venue = free.pop()
                    running[pool.submit(tried, waiting.pop(law.id), venue, pack(results))] = venue
            for done in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                free.append(running.pop(done))
                take(done.result())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _needed(law: Law, laws: Mapping[str, Law]) -> set[str]:
    """What `law` must wait for: what it rests on, and, so that equal seeds try equal cases, what lets it be packed."""
    order = list(laws)
    waits = EARLY in laws and order.index(law.id) > order.index(EARLY)
    return {*law.depends, *[EARLY] * waits}
