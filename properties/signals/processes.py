"""The same work in two processes that know of each other through torch.distributed, on the CPU."""

import datetime
import multiprocessing
import os
import queue
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

from sdtps_ref.properties.kit.outcomes import Unsupported

RANKS = 2
SECONDS = 60.0  # a start takes about four, most of them imports


def in_two_processes(work: Callable[[int], Any]) -> list[Any]:
    """[work(0), work(1)], each in a process of its own with gloo as the default process group.

    The processes are forked, so that `work` may hold whatever it likes, pickled or not; what it returns
    is pickled. What it raises is returned in the place of its result. Raises Unsupported where there is
    no fork, no gloo, or no answer in time.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        raise Unsupported("two processes need fork, which this platform lacks")
    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        raise Unsupported("torch.distributed with gloo is not available")
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside idle threads
        processes = [
            context.Process(target=_serve, args=(rank, folder, work, answers), daemon=True) for rank in range(RANKS)
        ]
        for process in processes:
            process.start()
        try:
            return _gathered(processes, answers)
        finally:
            for process in processes:
                process.join(timeout=2)
                if process.is_alive():
                    process.kill()


def _gathered(processes: list[Any], answers: Any) -> list[Any]:
    found: dict[int, Any] = {}
    deadline = time.monotonic() + SECONDS
    while len(found) < RANKS:
        try:
            rank, stage, answer = answers.get(timeout=0.5)
        except queue.Empty:
            died = [process.exitcode for process in processes if process.exitcode not in (None, 0)]
            if died or time.monotonic() > deadline:
                why = f"one ended with status {died[0]}" if died else f"no answer in {SECONDS:g} s"
                raise Unsupported(f"the two processes did not finish: {why}") from None
            continue
        if stage == "setup":
            raise Unsupported(f"two processes could not be set up: {answer}")
        found[rank] = answer
        if isinstance(answer, Exception):
            return [answer]  # the other one may wait for it for ever
    return [found[rank] for rank in range(RANKS)]


def _serve(rank: int, folder: str, work: Callable[[int], Any], answers: Any) -> None:
    torch.set_num_threads(1)  # threads do not survive a fork
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # in this process only: the host's name may not resolve
    distributed = torch.distributed
    try:
        distributed.init_process_group(
            "gloo",
            init_method=f"file://{folder}/store",
            rank=rank,
            world_size=RANKS,
            timeout=datetime.timedelta(seconds=SECONDS / 2),
        )
    except Exception as error:
        answers.put((rank, "setup", str(error).partition("\n")[0]))
        return
    try:
        answers.put((rank, "work", work(rank)))
    except Exception as error:
        answers.put((rank, "work", RuntimeError(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")))
    finally:
        distributed.destroy_process_group()
