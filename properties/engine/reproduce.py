"""Run failures' scripts, as the person who reads one would, and say of each whether it showed its failure."""

import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Sequence

from sdtps_ref.properties.certificates.certificate import Failure
from sdtps_ref.properties.engine.supervised import Supervised
from sdtps_ref.properties.kit.rendering import REPRODUCED

SECONDS = 60  # for one script; a failing case takes milliseconds, the rest is torch's import

# Runs in an interpreter that has only torch and the implementation. One interpreter for all scripts, because
# its import of torch takes a hundred times as long as a script; each script has names of its own.
RUNNER = """
import contextlib, io, json, sys
import torch
scripts, gib = json.load(sys.stdin)
if gib is not None and sys.platform == "linux":
    import resource
    used = [int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmData:")][0]
    resource.setrlimit(resource.RLIMIT_DATA, (used + int(gib * 2**30), resource.getrlimit(resource.RLIMIT_DATA)[1]))
for script in scripts:
    said, raised = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(said):
            exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})
    except BaseException as error:
        raised = type(error).__name__
    print(json.dumps([said.getvalue(), raised]), flush=True)
"""


def reproduced(
    failures: Sequence[Failure],
    implementation: object,
    *,
    has_target: bool,
    seconds: float | None = None,
    memory_gib: float | None = None,
) -> list[bool | None]:
    """Of each failure, whether its script prints that it is there, or raises again what the implementation raised.

    With a target the scripts run in an interpreter of their own; an implementation given as an object
    exists in this one only, so they run here. A script that takes its interpreter down showed nothing.
    seconds: for all of them; those that were not run by then are None. memory_gib: more than torch needs.
    """
    if not failures:
        return []
    scripts = [failure.script for failure in failures]
    if not has_target:
        return [
            shows(failure, run_here(script, implementation)) for failure, script in zip(failures, scripts, strict=True)
        ]
    until = None if seconds is None else time.monotonic() + seconds
    outcomes: list[tuple[str, str]] = []
    while len(outcomes) < len(scripts) and not _over(until):
        outcomes += _run_elsewhere(scripts[len(outcomes) :], until, memory_gib)
        if len(outcomes) < len(scripts) and not _over(until):  # the next one took the interpreter down, or hung
            outcomes.append(("", ""))
    shown: list[bool | None] = [shows(*each) for each in zip(failures, outcomes)]  # noqa: B905
    shown += [None] * (len(failures) - len(shown))
    if len(scripts) > 1:
        # What one call leaves behind (a setting of torch, a cache) may hide what the next script would have shown.
        for position, failure in enumerate(failures):
            if shown[position] is False and not _over(until):
                alone = _run_elsewhere([failure.script], until, memory_gib)
                shown[position] = bool(alone) and shows(failure, alone[0])
    return shown


def _over(until: float | None) -> bool:
    return until is not None and time.monotonic() >= until


def shows(failure: Failure, outcome: tuple[str, str]) -> bool:
    said, raised = outcome
    if failure.raised:
        return raised == failure.raised
    return said.strip().endswith(f"\n{REPRODUCED}")


def _run_elsewhere(scripts: list[str], until: float | None, memory_gib: float | None) -> list[tuple[str, str]]:
    seconds = float(SECONDS * len(scripts))
    seconds = seconds if until is None else max(0.1, min(seconds, until - time.monotonic()))
    running = Supervised([sys.executable, "-c", RUNNER], subprocess.DEVNULL)
    try:
        given = json.dumps([scripts, memory_gib]).encode()
        printed, _ = running.process.communicate(given, timeout=seconds)
    except subprocess.TimeoutExpired as late:
        printed = late.output or b""
    finally:
        running.close()
    outcomes = []
    for line in printed.decode(errors="replace").splitlines():
        with contextlib.suppress(ValueError, TypeError):  # what an implementation prints past redirect_stdout
            said, raised = json.loads(line)
            outcomes.append((str(said), str(raised)))
    return outcomes


def run_here(script: str, implementation: object) -> tuple[str, str]:
    said, raised = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(script, "<script of a failure>", "exec"), {"implementation": implementation})
    except (Exception, SystemExit) as error:
        raised = type(error).__name__
    return said.getvalue(), raised
