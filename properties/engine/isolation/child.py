"""The certifier's side: a child process in which an implementation is tried, started again when it is lost."""

import contextlib
import dataclasses
import json
import pickle
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.certificates.certificate import Failure, LawResult
from sdtps_ref.properties.engine.isolation.launch import Launched
from sdtps_ref.properties.engine.isolation.subject import Subject
from sdtps_ref.properties.engine.isolation.worker import Load, Reproduce, Try
from sdtps_ref.properties.engine.reproduce import reproduced
from sdtps_ref.properties.engine.runner import ImplementationInfo
from sdtps_ref.properties.engine.settings import Limits, RunSettings
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.law import Law

GRACE = 10.0  # seconds that a child may take to end itself after its time is up, before it is killed
STARTING = 120.0  # seconds to import torch and the laws
FRAME = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+) in (?P<function>.+)$', re.MULTILINE)
OURS = Path(__file__).resolve().parents[2]


class Refused(SDTPSError):
    """The implementation could not be loaded in the child; the message is one line."""

    def __init__(self, message: str, traceback: str = ""):
        super().__init__(message)
        self.traceback = traceback


class Lost(Exception):
    """The child ended, or was ended, in the middle of an order; the message says how."""


class SubprocessRunner:
    """One implementation in a process of its own. Raises Refused where it cannot be loaded there.

    launched: a process that is started already.
    """

    isolation = "child process"

    def __init__(self, subject: Subject, settings: RunSettings, limits: Limits, launched: Launched | None = None):
        # The examples stay here: what they are shared by is none of the implementation's business.
        self.subject, self.settings, self.limits = subject, dataclasses.replace(settings, examples=None), limits
        self.launched: Launched | None = None
        try:
            self.about = self._start(launched)
        except Lost as how:
            self.close()
            raise Refused(f"loading it, {how}") from None

    def tried(self, law: Law, per_call: int = 1, *, shared: Sequence[Case] = (), only: Case | None = None) -> LawResult:
        """Hold the implementation to one law; where that takes the process down, say what happened."""
        started, case = time.perf_counter(), None
        try:
            self._order(Try(law.id, per_call, tuple(shared), only))
            while "trying" in (answer := self._answer(self.limits.seconds)):
                case = answer["trying"]
        except (Lost, Refused) as how:
            said = self._said()
            self.close()
            result = LawResult(law.id, law.level, "error", reason=str(how), seconds=time.perf_counter() - started)
            return result if case is None else _with_failure(result, Case.from_json(case), said)
        if answer["spent"]:
            self.close()  # what it keeps must not be held against the next law
        return LawResult.from_json(answer["result"])

    def reproduced(self, failures: Sequence[Failure]) -> list[bool]:
        """Of each failure, whether its script shows it, run in the child."""
        if not failures or self.settings.target is not None:
            return reproduced(failures, None, has_target=True)  # in an interpreter of their own
        try:
            self._order(Reproduce(tuple(failures)))
            return self._answer(self.limits.seconds)["reproduced"]
        except (Lost, Refused):
            self.close()
            return [False] * len(failures)

    def close(self) -> None:
        """End the process, and all that it started."""
        if self.launched is not None:
            self.launched.close()
        self.launched = None

    def _start(self, launched: Launched | None = None) -> ImplementationInfo:
        self.launched = launched or Launched()
        self.answers: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=_read, args=(self.launched.process.stdout, self.answers), daemon=True).start()
        self._send(Load(self.subject, self.settings, self.limits))
        answer = self._answer(None if self.limits.seconds is None else STARTING + self.limits.seconds)
        if "refused" in answer:
            self.close()
            raise Refused(answer["refused"], answer["traceback"])
        return ImplementationInfo(**answer["about"])

    def _order(self, order: Any) -> None:
        """Give an order, to a fresh child where the last one was lost. Raises Lost or Refused."""
        if self.launched is None:
            self._start()
        self._send(order)

    def _send(self, order: Any) -> None:
        assert self.launched is not None
        pipe = self.launched.process.stdin
        assert pipe is not None
        try:
            pickle.dump(order, pipe)
            pipe.flush()
        except OSError:
            raise Lost(self._ending()) from None

    def _answer(self, seconds: float | None) -> dict[str, Any]:
        """The next answer, for which the child has `seconds`. Raises Lost."""
        try:
            line = self.answers.get(timeout=None if seconds is None else seconds + GRACE)
        except queue.Empty:
            raise Lost(f"it did not finish within {self.limits.seconds:g} s, nor end when told to") from None
        if line is None:
            raise Lost(self._ending())
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Lost(f"it wrote {line[:40]!r} where only the certifier's child writes")
        return answer

    def _ending(self) -> str:
        """How the process ended, and where, as far as its last words tell."""
        assert self.launched is not None
        try:
            status = self.launched.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            return "it closed the pipe to the certifier"
        said = self._said()
        where = _place(said)
        if said.startswith("Timeout (") or "\nTimeout (" in said:
            return f"it did not finish within {self.limits.seconds:g} s{where}"
        if status < 0:
            return f"the process died of {signal.Signals(-status).name}{where}"
        return f"the process ended with exit status {status}{where}"

    def _said(self) -> str:
        if self.launched is None:
            return ""
        self.launched.log.seek(0)
        return self.launched.log.read().decode(errors="replace")[-4000:]


def _read(pipe: Any, answers: "queue.Queue[bytes | None]") -> None:
    with contextlib.suppress(OSError, ValueError):
        for line in pipe:
            answers.put(line)
    answers.put(None)


def _place(stacks: str) -> str:
    """In whose code a dumped stack ends: the innermost frame that is neither Python's, torch's nor the certifier's."""
    for frame in FRAME.finditer(stacks):
        path = Path(frame["file"])
        if (
            "site-packages" in path.parts
            or OURS in path.resolve().parents
            or str(path).startswith((sys.base_prefix, "<"))
        ):
            continue
        return f", in {frame['function']} ({path.name}, line {frame['line']})"
    return ""


def _with_failure(result: LawResult, case: Case, said: str) -> LawResult:
    failure = Failure(result.reason, case, script="", judges=False, traceback=said)
    return dataclasses.replace(result, examples=1, failure=failure)
