"""Laws are tried after what they rest on, as many at once as there are runners, and a shard is a part of the whole."""

import threading
import time

import pytest

from sdtps_ref.properties.certificates.certificate import LawResult
from sdtps_ref.properties.engine.runner import ImplementationInfo
from sdtps_ref.properties.engine.schedule import BATCHED_EXAMPLES, run_laws
from sdtps_ref.properties.engine.settings import PROFILES, RunSettings
from sdtps_ref.properties.kit.law import BATCHING_LAW, Law, all_laws


class Watched:
    """A runner that judges nothing, and remembers how many were at it together."""

    at_once, most, lock = 0, 0, threading.Lock()
    about, isolation = ImplementationInfo({"methods": []}, {}), "none"

    def __init__(self, order: list[str]):
        self.order = order

    def tried(self, law: Law, per_call: int) -> LawResult:
        with Watched.lock:
            Watched.at_once += 1
            Watched.most = max(Watched.most, Watched.at_once)
            self.order.append(law.id)
        time.sleep(0.002)
        with Watched.lock:
            Watched.at_once -= 1
        return LawResult(law.id, law.level, "passed")

    def reproduced(self, failures: object) -> list[bool]:
        return []

    def close(self) -> None: ...


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_law_once_and_after_what_it_rests_on(jobs: int) -> None:
    """Whatever the number of runners, which are all used."""
    Watched.most, order, announced, results = 0, list[str](), list[str](), dict[str, LawResult]()

    run_laws(
        all_laws(),
        [Watched(order) for _ in range(jobs)],
        results,
        lambda law: None,
        lambda result: announced.append(result.id),
    )

    assert sorted(order) == sorted(announced) == sorted(all_laws())
    assert all(order.index(base) < order.index(law.id) for law in all_laws().values() for base in law.depends)
    assert Watched.most == jobs


def test_what_is_packed_does_not_depend_on_who_is_first() -> None:
    """With any number of runners, every law after the one that lets examples be packed has its result."""
    packed = {jobs: dict[str, int]() for jobs in (1, 3)}

    class Remembering(Watched):
        def tried(self, law: Law, per_call: int) -> LawResult:
            packed[jobs][law.id] = per_call
            time.sleep(0.02 if law.id == BATCHING_LAW else 0)
            return LawResult(law.id, law.level, "passed")

    for jobs in packed:
        run_laws(all_laws(), [Remembering([]) for _ in range(jobs)], {}, lambda law: None, lambda result: None)

    assert packed[1] == packed[3]
    assert set(packed[1].values()) == {1, BATCHED_EXAMPLES}


def test_what_is_excused_or_known_is_not_tried() -> None:
    """Results that are there already stay; what is excused is announced, not tried."""
    known = LawResult("shape.follows_inputs", "MUST", "passed", reason="known")
    order, results = list[str](), {known.id: known}

    run_laws(
        all_laws(),
        [Watched(order), Watched(order)],
        results,
        lambda law: LawResult(law.id, law.level, "skipped") if law.id.startswith("noise") else None,
        lambda result: None,
    )

    assert results[known.id].reason == "known"
    assert not any(law_id == known.id or law_id.startswith("noise") for law_id in order)
    assert results.keys() == all_laws().keys()


@pytest.mark.parametrize("count", [2, 3, 7])
def test_shards_are_the_whole_and_stand_on_their_own(count: int) -> None:
    """Together they have every law; each has what its laws rest on."""
    shards = [RunSettings(PROFILES["quick"], shard=(i + 1, count)).selected() for i in range(count)]

    assert set().union(*shards) == set(all_laws())
    assert all(set(law.depends) <= set(shard) for shard in shards for law in shard.values())
    assert all(len(shard) < len(all_laws()) for shard in shards)
