"""Fresh processes: each measures once and ends, so that where things lie in memory is drawn anew.

Orders and answers are lines of JSON. What comes out of a process in which unknown code ran must not be unpickled.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.engine.isolation.launch import Launched

MODULE = "sdtps_ref.benchmarks.timing.process"
Announce = Callable[[Any], None]


class ProcessFailed(SDTPSError):
    """A measuring process brought nothing back; the message is one line."""


def in_fresh_process(function: str, order: Any, announce: Announce = lambda news: None) -> Any:
    """Call a function in a new process.

    Args:
        function: "module:name"; it is called with the order and a function that announces.
        order: Plain data, as JSON has it.
        announce: Called here with all plain data that the function announces there.

    Returns:
        What the function returned: plain data, to be checked as anything that unknown code may have touched.

    Raises:
        ProcessFailed: The function raised, or the process ended before it returned.
    """
    launched = Launched(module=MODULE)
    stdin, stdout = launched.process.stdin, launched.process.stdout
    assert stdin is not None and stdout is not None
    try:
        stdin.write(json.dumps([function, order]).encode() + b"\n")
        stdin.flush()
        for line in stdout:
            kind, content = _answer(line)
            if kind == "returned":
                return content
            if kind == "raised":
                raise ProcessFailed(str(content))
            announce(content)
        raise ProcessFailed(f"a measuring process ended with status {launched.ended(10)} and no result")
    except BrokenPipeError:
        raise ProcessFailed("a measuring process ended before it was told what to do") from None
    finally:
        launched.close()


def _answer(line: bytes) -> tuple[str, Any]:
    try:
        kind, content = json.loads(line)
    except (ValueError, TypeError):
        kind, content = None, None
    if kind not in ("announced", "returned", "raised"):
        raise ProcessFailed(f"a measuring process wrote {line[:40]!r} where results are expected")
    return kind, content


def main() -> None:
    """The child's side: carry out one order, and write what comes of it."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the code prints must not get among the answers

    def say(kind: str, content: Any) -> None:
        answers.write(json.dumps([kind, content]) + "\n")
        answers.flush()

    function, order = json.loads(sys.stdin.readline())
    module, _, name = function.partition(":")
    try:
        say("returned", getattr(import_module(module), name)(order, lambda news: say("announced", news)))
    except SDTPSError as error:
        say("raised", str(error))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]} ({last.filename}:{last.lineno})"
        say("raised", f"a measuring process raised {said}")
