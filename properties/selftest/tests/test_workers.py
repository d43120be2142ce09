"""An interrupt of work that is shared out: it ends at once, in every process, and each is told once."""

import os
import signal
import time
from pathlib import Path

import pytest

from sdtps_ref.properties.selftest.workers import results_of


def masked_interrupt(folder: str) -> bool:
    """Whether Ctrl-C is kept from this process, which is then known by its number, and busy."""
    masked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    (Path(folder) / str(os.getpid())).write_text(str(masked))
    time.sleep(60)
    return masked


def test_results_come_in_order() -> None:
    """As `map` has them."""
    with results_of(pow, [2, 3], [3, 2]) as results:
        found = list(results)

    assert found == [8, 9]


def test_an_interrupt_ends_the_workers(tmp_path: Path) -> None:
    """Ctrl-C while they work: none of them sees it, none of them is left, and nobody waits for what they do."""
    begun = time.monotonic()

    with pytest.raises(KeyboardInterrupt), results_of(masked_interrupt, [str(tmp_path)] * 50):
        while not any(path.read_text() for path in tmp_path.iterdir()):
            time.sleep(0.05)
            assert time.monotonic() - begun < 50
        raise KeyboardInterrupt

    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert {path.read_text() for path in tmp_path.iterdir()} <= {"True", ""}
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
