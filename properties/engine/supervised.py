"""A program under a supervisor, which ends it and all that it started when it is closed, or when this process dies."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

SUPERVISOR = Path(__file__).with_name("supervisor.py")
ENDING = 10.0  # seconds that a supervisor may take to end all that is left


class Supervised:
    """A running program. process: its supervisor, at the program's stdin and stdout.

    left: how many processes it left running, and unwatched: whether somebody ended the supervisor; known once it is
    closed.
    """

    def __init__(
        self,
        program: Sequence[str],
        stderr: int | IO[bytes],
        passed: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
    ):
        watched, self._control = os.pipe()
        self._status, told = os.pipe()
        self._told, self.left, self.unwatched = b"", 0, False
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(SUPERVISOR), str(watched), str(told), *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the certifier, which then ends this one
            pass_fds=(watched, told, *passed),
        )
        os.close(watched)
        os.close(told)

    def ended(self, seconds: float) -> int | None:
        """The program's exit status, negative for a signal, once it is over; None if it is not within `seconds`."""
        return self._what_was_told(seconds).get("status")

    def close(self) -> None:
        """End it, and all that it started."""
        if self._control >= 0:
            self.unwatched = (self.process.poll() or 0) < 0  # by a signal, and not by this process
            os.close(self._control)
            self._control = -1
            told = self._what_was_told(ENDING)
            self.left = told.get("left", 0)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
            if self.process.poll() is None:  # outrun, or stopped
                self.process.kill()
            if "left" not in told and "program" in told:  # the supervisor was itself ended: at least the group ends
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(told["program"], signal.SIGKILL)
            self.process.wait()
            os.close(self._status)
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]

    def _what_was_told(self, seconds: float) -> dict[str, int]:
        """What the supervisor has told so far, for whose last word this waits."""
        until = time.monotonic() + seconds
        while self._told.count(b"\n") < 2 and (left := until - time.monotonic()) > 0:
            if not select.select([self._status], [], [], left)[0]:
                break
            if not (read := os.read(self._status, 4096)):
                break
            self._told += read
        known: dict[str, int] = {}
        for line in self._told.splitlines():
            with contextlib.suppress(ValueError):
                known |= json.loads(line)
        return known
