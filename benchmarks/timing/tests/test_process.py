"""Fresh processes: plain data in and out, and an end in one line whatever runs there."""

import os
import sys
from collections.abc import Callable
from typing import Any

import pytest

from sdtps_ref.benchmarks.timing.process import ProcessFailed, in_fresh_process
from sdtps_ref.errors import InvalidInput

Announce = Callable[[Any], None]


def answers(order: Any, announce: Announce) -> Any:
    """Print, announce, and return the order and where it was carried out."""
    print("this is no answer")
    announce("half of it")
    return {"order": order, "process": os.getpid()}


def refuses(order: Any, announce: Announce) -> Any:
    """Raise an error of this project."""
    raise InvalidInput.given("nothing", "something")


def breaks(order: Any, announce: Announce) -> Any:
    """Raise another error, of two lines."""
    raise ValueError("first line\nsecond line")


def exits(order: Any, announce: Announce) -> Any:
    """End without an answer."""
    os._exit(7)


def meddles(order: Any, announce: Announce) -> Any:
    """Write what is no answer where answers are written."""
    os.write(max(int(name) for name in os.listdir("/proc/self/fd") if _is_pipe(name)), b"\x80\x04pickled\n")
    os._exit(0)


def _is_pipe(name: str) -> bool:
    try:
        return int(name) > 2 and os.readlink(f"/proc/self/fd/{name}").startswith("pipe:")
    except OSError:
        return False


def called(function: Callable[..., Any]) -> str:
    """Its name for `in_fresh_process`."""
    return f"{function.__module__}:{function.__name__}"


def test_what_a_function_announces_and_returns_arrives() -> None:
    """From a process of its own; what it prints is not taken for an answer."""
    announced: list[Any] = []

    found = in_fresh_process(called(answers), {"a": [1, None, 0.1]}, announced.append)

    assert found["order"] == {"a": [1, None, 0.1]}
    assert found["process"] != os.getpid()
    assert announced == ["half of it"]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (refuses, r"^given nothing; accepted: something$"),
        (breaks, r"^a measuring process raised ValueError: first line \(.*test_process.py:\d+\)$"),
        (exits, r"^a measuring process ended with status 7 and no result$"),
        pytest.param(
            meddles,
            r"^a measuring process wrote b'.x80.x04pickled.n' where results are expected$",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="needs /proc"),
        ),
    ],
)
def test_what_goes_wrong_there_is_one_line_here(function: Callable[..., Any], said: str) -> None:
    """And nothing that came from there is unpickled."""
    with pytest.raises(ProcessFailed, match=said):
        in_fresh_process(called(function), None)
