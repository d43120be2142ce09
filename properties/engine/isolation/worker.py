"""The child's side: the implementation is loaded here, and tried here law by law, as the certifier asks.

Orders come as pickles, which only the certifier writes. Answers go back as lines of JSON, because what comes
out of a process in which unknown code runs must not be unpickled.
"""

import contextlib
import dataclasses
import faulthandler
import json
import os
import pickle
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.certificates.certificate import Failure, LawResult
from sdtps_ref.properties.engine.isolation.subject import Subject
from sdtps_ref.properties.engine.runner import InProcessRunner
from sdtps_ref.properties.engine.settings import Limits, RunSettings
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.kit.probe import first_line

GIB = 2**30


@dataclass(frozen=True)
class Try:
    """An order: hold the implementation to this law. shared: cases to be tried first; only: the one case to try."""

    law: str
    per_call: int
    shared: tuple[Case, ...] = ()
    only: Case | None = None


@dataclass(frozen=True)
class Reproduce:
    """An order: run these failures' scripts."""

    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Load:
    """The first order: what is tried, with which settings."""

    subject: Subject
    settings: RunSettings
    limits: Limits


def main() -> None:
    """Do as ordered until there are no more orders. Ends the process, whatever threads were left in it."""
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w")
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)  # an implementation that asks a question gets no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()

    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 1)
        _serve(orders, answers, printed)
    os._exit(0)


def _serve(orders: IO[bytes], answers: IO[str], printed: IO[bytes]) -> None:
    def answer(**content: Any) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    load: Load = pickle.load(orders)
    before = limit_memory(load.limits.memory_gib)
    with _within(load.limits.seconds):
        runner = _loaded(load, answer)
    while runner is not None:
        try:
            order = pickle.load(orders)
        except EOFError:
            break
        with _within(load.limits.seconds):
            if isinstance(order, Reproduce):
                answer(reproduced=runner.reproduced(order.failures))
                continue
            result = _tried(runner, order, lambda case: answer(trying=case.to_json()))
        result = dataclasses.replace(result, notes=(*result.notes, *_what_was_printed(printed)))
        answer(result=result.to_json(), spent=memory_in_use() - before > (load.limits.memory_gib or 1e9) * GIB / 2)


def _loaded(load: Load, answer: Callable[..., None]) -> InProcessRunner | None:
    try:
        found = load.subject.found()
        runner = InProcessRunner(found.implementation, load.settings, told=found.told)
    except BaseException as error:
        said = str(error) if isinstance(error, SDTPSError) else f"{type(error).__name__}: {first_line(error)}"
        answer(refused=said, traceback="".join(traceback.format_exception(error)))
        return None
    answer(about=dataclasses.asdict(runner.about))
    return runner


def _tried(runner: InProcessRunner, order: Try, watch: Callable[[Any], None]) -> LawResult:
    law = all_laws()[order.law]
    try:
        return runner.tried(law, order.per_call, watch, shared=order.shared, only=order.only)
    except BaseException as error:  # what a trial lets through: KeyboardInterrupt and its like
        return LawResult(law.id, law.level, "error", reason=f"raised {type(error).__name__}: {first_line(error)}")


@contextlib.contextmanager
def _within(seconds: float | None) -> Iterator[None]:
    """End the process after `seconds`, with every thread's stack on stderr, even where Python itself is stuck."""
    if seconds is not None:
        faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _what_was_printed(printed: IO[bytes]) -> tuple[str, ...]:
    sys.stdout.flush()
    size = os.fstat(printed.fileno()).st_size
    if not size:
        return ()
    printed.seek(0)
    first = printed.read(200).decode(errors="replace").strip().partition("\n")[0]
    printed.seek(0)
    printed.truncate()
    return (f"the implementation prints: {first!r}",)


def limit_memory(gib: float | None) -> int:
    """Allow this process `gib` more than it has. Returns what it has, in bytes; nothing is limited off Linux."""
    has = memory_in_use()
    if gib is not None and has:
        import resource

        allowed = int(has + gib * GIB)
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    return has


def memory_in_use() -> int:
    """Bytes of data that this process has asked for; 0 where /proc does not tell."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmData:")]
    return int(line.split()[1]) * 1024
