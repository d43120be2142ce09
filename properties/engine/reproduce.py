"""Run failures' scripts, as the person who reads one would, and say of each whether it showed its failure."""

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Sequence

from sdtps_ref.properties.certificates.certificate import Failure
from sdtps_ref.properties.kit.rendering import REPRODUCED

SECONDS = 60  # for one script; a failing case takes milliseconds, the rest is torch's import

# Runs in an interpreter that has only torch and the implementation. One interpreter for all scripts, because
# its import of torch takes a hundred times as long as a script; each script has names of its own.
RUNNER = """
import contextlib, io, json, sys
for script in json.load(sys.stdin):
    said, raised = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(said):
            exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})
    except BaseException as error:
        raised = type(error).__name__
    print(json.dumps([said.getvalue(), raised]), flush=True)
"""


def reproduced(failures: Sequence[Failure], implementation: object, *, has_target: bool) -> list[bool]:
    """Of each failure, whether its script prints that it is there, or raises again what the implementation raised.

    With a target the scripts run in an interpreter of their own; an implementation given as an object
    exists in this one only, so they run here. A script that takes its interpreter down showed nothing.
    """
    if not failures:
        return []
    scripts = [failure.script for failure in failures]
    outcomes: list[tuple[str, str]] = []
    while has_target and len(outcomes) < len(scripts):
        outcomes += _run_elsewhere(scripts[len(outcomes) :])
        if len(outcomes) < len(scripts):  # the next one took the interpreter down, or hung
            outcomes.append(("", ""))
    if not has_target:
        outcomes = [_run_here(script, implementation) for script in scripts]
    shown = [_shows(failure, *outcome) for failure, outcome in zip(failures, outcomes, strict=True)]
    if has_target and len(scripts) > 1:
        # What one call leaves behind (a setting of torch, a cache) may hide what the next script would have shown.
        shown = [was or _shows_alone(failure) for was, failure in zip(shown, failures, strict=True)]
    return shown


def _shows_alone(failure: Failure) -> bool:
    outcomes = _run_elsewhere([failure.script])
    return bool(outcomes) and _shows(failure, *outcomes[0])


def _shows(failure: Failure, said: str, raised: str) -> bool:
    if failure.raised:
        return raised == failure.raised
    return said.strip().endswith(f"\n{REPRODUCED}")


def _run_elsewhere(scripts: list[str]) -> list[tuple[str, str]]:
    command = [sys.executable, "-c", RUNNER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            printed, _ = process.communicate(json.dumps(scripts), timeout=SECONDS * len(scripts))
        except subprocess.TimeoutExpired:
            process.kill()
            printed, _ = process.communicate()
    outcomes = []
    for line in printed.splitlines():
        with contextlib.suppress(ValueError, TypeError):  # what an implementation prints past redirect_stdout
            said, raised = json.loads(line)
            outcomes.append((str(said), str(raised)))
    return outcomes


def _run_here(script: str, implementation: object) -> tuple[str, str]:
    said, raised = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(script, "<script of a failure>", "exec"), {"implementation": implementation})
    except (Exception, SystemExit) as error:
        raised = type(error).__name__
    return said.getvalue(), raised
