"""The certifier's side: a child process in which an implementation is tried, started again when it is lost."""

import contextlib
import dataclasses
import json
import pickle
import queue
import secrets
import threading
import time
from collections.abc import Sequence
from typing import Any

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.certificates.certificate import Failure, LawResult
from sdtps_ref.properties.certificates.level import OUT_OF_TIME
from sdtps_ref.properties.engine.budget import Budget
from sdtps_ref.properties.engine.isolation.ending import GRACE, case_of, ending_of, said_by
from sdtps_ref.properties.engine.isolation.launch import Launched
from sdtps_ref.properties.engine.isolation.pipe import READY
from sdtps_ref.properties.engine.isolation.subject import Subject
from sdtps_ref.properties.engine.isolation.worker import Examine, Load, Reproduce, Try
from sdtps_ref.properties.engine.reproduce import reproduced
from sdtps_ref.properties.engine.runner import ImplementationInfo, distrusted
from sdtps_ref.properties.engine.settings import PROFILES, Limits, RunSettings
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.law import Law

STARTING = 120.0  # seconds to import torch and the laws
LOOK = 30.0  # seconds for a look at what may be behind failures, which takes one on a machine that is free


class Refused(SDTPSError):
    """The implementation could not be loaded in the child; the message is one line."""

    def __init__(self, message: str, traceback: str = ""):
        super().__init__(message)
        self.traceback = traceback


class Lost(Exception):
    """The child ended, or was ended, in the middle of an order; the message says how."""


class Forged(Exception):
    """Something was written to the certifier that is no answer of its child; the message says what."""


class SubprocessRunner:
    """One implementation in a process of its own. Raises Refused where it cannot be loaded there.

    launched: a process that is started already. budget: of the run that this is for. trial: whether its
    factories are called once, to see which of them are written.
    """

    isolation = "child process"

    def __init__(
        self,
        subject: Subject,
        settings: RunSettings,
        limits: Limits,
        launched: Launched | None = None,
        budget: Budget | None = None,
        trial: bool = True,
    ):
        # The examples stay here: what they are shared by is none of the implementation's business.
        self.subject, self.settings, self.limits = subject, dataclasses.replace(settings, examples=None), limits
        self.launched: Launched | None = None
        self.scripted, self.trial = True, trial
        self.budget = budget or Budget()
        self.meddling: list[str] = []
        self.left = 0
        try:
            self.about = self._start(launched)
        except (Lost, Forged) as how:
            self._end()
            raise Refused(f"loading it, {how}") from None

    def tried(self, law: Law, per_call: int = 1, *, shared: Sequence[Case] = (), only: Case | None = None) -> LawResult:
        """Hold the implementation to one law; where that takes the process down, say what happened."""
        if self.meddling:
            return distrusted(law, self.meddling)
        started = time.perf_counter()
        usual = self._usual(law)
        seconds = self.budget.within(usual)
        try:
            answer = self._answered(Try(law.id, per_call, seconds, tuple(shared), only))
            self.meddling += answer["meddling"]
            self.about.also_read(answer["files"])
            if self.meddling:
                self._end()
                return distrusted(law, self.meddling)
            result = LawResult.from_json(answer["result"])
            if (result.id, result.level) != (law.id, law.level):
                raise Forged(f"{law.id} was asked for, and {result.id} was answered")
            if answer["spent"]:
                self._end()  # what it keeps must not be held against the next law
            return result
        except (Lost, Refused) as how:
            said, case = said_by(self.launched), case_of(self.launched)
            self._end()
            # The run's time was over before the law's was: it is not accused.
            if OUT_OF_TIME in str(how) and seconds != usual:
                self.budget.spent += time.perf_counter() - started
                return self.budget.over(law)
            result = LawResult(law.id, law.level, "error", reason=str(how), seconds=time.perf_counter() - started)
            return result if case is None else _with_failure(result, case, said)
        except (Forged, KeyError, TypeError, ValueError, AttributeError) as what:
            self._end()
            self.meddling.append(str(what) if isinstance(what, Forged) else "an answer of its process is none")
            return distrusted(law, self.meddling)

    def reproduced(self, failures: Sequence[Failure], seconds: float | None = None) -> list[bool | None]:
        """Of each failure, whether its script shows it, run in the child."""
        if not failures:
            return []
        if self.settings.target is not None:  # in an interpreter of their own
            return reproduced(failures, None, has_target=True, seconds=seconds, memory_gib=self.limits.memory_gib)
        try:
            shown = self._answered(Reproduce(tuple(failures), seconds or self.limits.seconds))["reproduced"]
            if len(shown) == len(failures):
                return [None if each is None else bool(each) for each in shown]
        except (Lost, Refused, Forged, KeyError, TypeError):
            self._end()
        return [False] * len(failures)

    def examined(self, failed: Sequence[str]) -> dict[str, Any]:
        """What a short look at the implementation reads, for the causes of these laws' failures; see `causes`."""
        try:
            return dict(self._answered(Examine(tuple(failed), min(self.limits.seconds or LOOK, LOOK)))["examined"])
        except (Lost, Refused, Forged, KeyError, TypeError, ValueError):
            self._end()
            return {}

    def close(self) -> list[str]:
        """End the process, and all that it started. Returns a line where it left processes running."""
        self._end()
        left, self.left = self.left, 0
        if not left:
            return []
        return [f"left {left} process{'es' * (left > 1)} running, which {'were' if left > 1 else 'was'} ended"]

    def _end(self) -> None:
        if self.launched is not None:
            self.launched.close()
            self.left += self.launched.left
            if self.launched.unwatched and not self.meddling:
                self.meddling.append("the process that watches over the implementation was ended")
        self.launched = None

    def _usual(self, law: Law) -> float | None:
        """For one law: where it takes its time from another budget, as much as the profile that has it would give."""
        usual = self.limits.seconds
        if usual is not None and law.budget != "eager":
            usual = max(usual, PROFILES["ci"].seconds)
        return usual

    def _start(self, launched: Launched | None = None) -> ImplementationInfo:
        self.launched = launched or Launched(self.scripted)
        self.scripted = self.launched.scripted
        self.answers: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=_read, args=(self.launched.process.stdout, self.answers), daemon=True).start()
        seconds = self.budget.within(self.limits.to_load)
        self._send(Load(self.subject, self.settings, self.limits, seconds, self.trial))
        answer = self._answer(seconds, STARTING)
        if "refused" in answer:
            self._end()
            raise Refused(answer["refused"], answer["traceback"])
        return ImplementationInfo(**answer["about"])

    def _answered(self, order: Try | Reproduce | Examine) -> dict[str, Any]:
        """Give an order, to a fresh child where the last one was lost. Raises Lost, Refused or Forged."""
        if self.launched is None:
            started = time.monotonic()
            self._start()
            self.budget.spent += time.monotonic() - started
        if not self.answers.empty() and (line := self.answers.get()) is not None:
            raise Forged(_wrote(line))
        self._send(order)
        return self._answer(order.seconds)

    def _send(self, order: Any) -> None:
        assert self.launched is not None
        pipe = self.launched.process.stdin
        assert pipe is not None
        try:
            pickle.dump(order, pipe)
            pipe.flush()
        except OSError:
            raise Lost(self._ending(None)) from None

    def _answer(self, seconds: float | None, besides: float = 0.0) -> dict[str, Any]:
        """The answer to the last order, for which the child has `seconds`, in two steps (see `pipe`).

        besides: seconds that are not the implementation's.
        """
        if (line := self._line(None if seconds is None else seconds + besides, seconds)) != READY:
            raise Forged(_wrote(line))
        word = secrets.token_hex(16)
        self._send(word)
        line = self._line(None if seconds is None else 0.0, seconds)
        try:
            answer = json.loads(line)
            if not secrets.compare_digest(answer["word"], word):
                raise Forged(_wrote(line))
            return dict(answer["answer"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Forged(_wrote(line)) from None

    def _line(self, seconds: float | None, whole: float | None) -> bytes:
        try:
            line = self.answers.get(timeout=None if seconds is None else seconds + GRACE)
        except queue.Empty:
            raise Lost(f"it {OUT_OF_TIME} {whole or 0:.3g} s, nor end when told to") from None
        if line is None:
            raise Lost(self._ending(whole))
        return line

    def _ending(self, seconds: float | None) -> str:
        assert self.launched is not None
        return ending_of(self.launched, seconds, self.limits.memory_gib)


def _wrote(line: bytes) -> str:
    return f"the implementation wrote {line[:40]!r} where only the certifier's child writes"


def _read(pipe: Any, answers: "queue.Queue[bytes | None]") -> None:
    with contextlib.suppress(OSError, ValueError):
        for line in pipe:
            answers.put(line)
    answers.put(None)


def _with_failure(result: LawResult, case: Case, said: str) -> LawResult:
    failure = Failure(result.reason, case, script="", judges=False, traceback=said)
    return dataclasses.replace(result, examples=1, failure=failure)
