"""The child's side: the implementation is loaded here, and tried here law by law, as the certifier asks.

Orders come as pickles, which only the certifier writes. Answers go back as lines of JSON, because what comes
out of a process in which unknown code runs must not be unpickled.
"""

import contextlib
import dataclasses
import faulthandler
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.certificates.certificate import Failure, LawResult
from sdtps_ref.properties.engine.budget import MEMORY
from sdtps_ref.properties.engine.deciding import Deciding
from sdtps_ref.properties.engine.isolation import pipe
from sdtps_ref.properties.engine.isolation.subject import Subject
from sdtps_ref.properties.engine.loaded_files import LoadedFiles
from sdtps_ref.properties.engine.runner import InProcessRunner
from sdtps_ref.properties.engine.settings import Limits, RunSettings
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.kit.probe import first_line

GIB = 2**30


@dataclass(frozen=True)
class Try:
    """An order: hold the implementation to this law, within `seconds`. shared: cases to be tried first; only: the one
    case to try."""

    law: str
    per_call: int
    seconds: float | None = None
    shared: tuple[Case, ...] = ()
    only: Case | None = None


@dataclass(frozen=True)
class Reproduce:
    """An order: run these failures' scripts, within `seconds`."""

    failures: tuple[Failure, ...]
    seconds: float | None = None


@dataclass(frozen=True)
class Examine:
    """An order: look at what may be behind the failures of these laws. seconds: for it."""

    failed: tuple[str, ...]
    seconds: float | None


@dataclass(frozen=True)
class Load:
    """The first order: what is tried, with which settings, to be loaded within `seconds`.

    trial: whether its factories are called once, to see which of them are written.
    """

    subject: Subject
    settings: RunSettings
    limits: Limits
    seconds: float | None
    trial: bool


def main() -> None:
    """Do as ordered until there are no more orders. Ends the process, whatever threads were left in it.

    Its last argument is the descriptor of a file for what is being tried, which is read if this process is lost.
    """
    trying = int(sys.argv[-1])
    pipe.take_over()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 1)
        _serve(trying, printed)
    os._exit(0)


def _serve(trying: int, printed: IO[bytes]) -> None:
    load: Load = pipe.received()
    deciding, files = Deciding(), LoadedFiles()
    before = limit_memory(load.limits.memory_gib)
    with _within(load.seconds):
        loaded = _loaded(load, deciding, files)
    if isinstance(loaded, dict):
        pipe.answer(**loaded)
        return
    pipe.answer(about=dataclasses.asdict(loaded.about))
    while True:
        try:
            order = pipe.received()
        except EOFError:
            return
        with _within(order.seconds):
            if isinstance(order, Reproduce):
                answer: dict[str, Any] = {"reproduced": loaded.reproduced(order.failures, order.seconds)}
            elif isinstance(order, Examine):
                answer = {"examined": loaded.examined(order.failed)}
            else:
                answer = _judged(loaded, order, trying, printed)
                answer["spent"] |= memory_in_use() - before > (load.limits.memory_gib or 1e9) * GIB / 2
        pipe.answer(**answer)


def _loaded(load: Load, deciding: Deciding, files: LoadedFiles) -> InProcessRunner | dict[str, Any]:
    """The implementation where it can be tried, or an answer that says why it cannot."""
    try:
        found = load.subject.found()
        return InProcessRunner(
            found.implementation,
            load.settings,
            told=found.told,
            deciding=deciding,
            files=files,
            memory_gib=load.limits.memory_gib,
            trial=load.trial,
        )
    except BaseException as error:
        said = str(error) if isinstance(error, SDTPSError) else f"{type(error).__name__}: {first_line(error)}"
        if isinstance(error, MemoryError) or "can't allocate memory" in said:
            said = f"{MEMORY} ({load.limits.memory_gib:g} GiB; --memory-limit)"
        return {"refused": said, "traceback": "".join(traceback.format_exception(error))}


def _judged(runner: InProcessRunner, order: Try, trying: int, printed: IO[bytes]) -> dict[str, Any]:
    """What became of the law, and whether this process is of no more use."""
    result = _tried(runner, order, trying)
    result = dataclasses.replace(result, notes=(*result.notes, *_what_was_printed(printed)))
    return {
        "result": result.to_json(),
        "spent": runner.exhausted,
        "meddling": runner.meddling,
        "files": runner.files.files(),
    }


def _tried(runner: InProcessRunner, order: Try, trying: int) -> LawResult:
    def watch(case: Case) -> None:
        os.pwrite(trying, json.dumps(case.to_json()).encode() + b"\n", 0)

    os.ftruncate(trying, 0)
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
