"""Work that is shared out over processes, and what an interrupt does to it."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any


@contextlib.contextmanager
def results_of(function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Iterator[Any]]:
    """Call the function as `map` does, in a process a core; the results come in order, as soon as they are there.

    Ctrl-C is for this process alone, which ends the others at once, as it does for any other reason to leave.
    """
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        with _interrupts_held_back():
            results = pool.map(function, *arguments)
        try:
            yield results
        except BaseException:
            for process in list(pool._processes.values()):
                process.kill()
            pool.shutdown(cancel_futures=True)
            raise


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes that are started meanwhile never see Ctrl-C; this one sees it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
