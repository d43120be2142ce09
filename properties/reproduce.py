"""Run a failure's script, as the person who reads it would, and say whether it showed the failure."""

import contextlib
import io
import subprocess
import sys

from sdtps_ref.properties.script import REPRODUCED

SECONDS = 120  # one failing case takes milliseconds; the rest is torch's import


def reproduces(script: str, implementation: object, *, has_target: bool, raised: str | None) -> bool:
    """Whether `script` shows its failure: it prints so, or, where the implementation raised, raises `raised` again.

    With a target it runs in an interpreter of its own; an implementation given as an object exists in
    this one only, so its script runs here.
    """
    if has_target:
        try:
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return False
        said = done.stderr if raised else done.stdout
        lines = said.strip().splitlines()
        return bool(lines) and (raised in lines[-1] if raised else lines[-1] == REPRODUCED)

    said_here = io.StringIO()
    try:
        with contextlib.redirect_stdout(said_here), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(script, "<script of a failure>", "exec"), {"implementation": implementation})
    except SystemExit:
        pass
    except Exception as error:
        return raised is not None and type(error).__name__ == raised
    lines = said_here.getvalue().strip().splitlines()
    return bool(lines) and lines[-1] == REPRODUCED
