"""Fresh processes: each measures once and ends, so that where things lie in memory is drawn anew."""

import gc
import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

from sdtps_ref.benchmarks.gate.measuring.cells import Cell
from sdtps_ref.benchmarks.gate.measuring.plan import Measured, Plan
from sdtps_ref.errors import SDTPSError


class ProcessFailed(SDTPSError):
    """A measuring process brought nothing back; the message is one line."""


def in_fresh_process(plan: Plan, announce: Callable[[Cell], None] = lambda cell: None) -> list[Measured]:
    """What a new process measures. announce: called with each cell as it begins. Raises SDTPSError, as it did there."""
    context = multiprocessing.get_context("spawn")  # a fork would inherit this process's memory, and its threads
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(plan, there), daemon=True)
    process.start()
    there.close()
    try:
        while True:
            kind, value = here.recv()
            if kind == "measured":
                return value
            if kind == "failed":
                raise value
            announce(value)
    except EOFError:
        process.join()
        raise ProcessFailed(f"a measuring process ended with status {process.exitcode} and no result") from None
    finally:
        here.close()
        process.join(timeout=2)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(plan: Plan, there: Connection) -> None:
    from sdtps_ref.benchmarks.gate.measuring.rounds import measure

    gc.freeze()  # torch's half a million objects need not be looked through between blocks
    try:
        there.send(("measured", measure(plan, lambda cell: there.send(("cell", cell)))))
    except SDTPSError as error:
        there.send(("failed", ProcessFailed(str(error))))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]} ({last.filename}:{last.lineno})"
        there.send(("failed", ProcessFailed(f"a measuring process raised {said}")))
