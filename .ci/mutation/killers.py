"""What tries to kill a mutant of the reference: the golden vectors, the laws, the reference's own tests.

Each gives the first thing that it saw wrong, in one line, or None. `python .ci/mutation/killers.py`, from the
root of a checkout, tries all three on it.
"""

import contextlib
import io
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sdtps_ref.golden.vectors import VectorFile
    from sdtps_ref.properties.engine.settings import Profile

# What the unmutated reference is warned of, by mask: the published mask's gain of 1e10.
WARNED = {"subtract": {"gradient.is_finite_in_float16", "gradient.well_conditioned"}, "log": set()}


TESTS = ("golden/tests/test_refusals.py", "golden/tests/test_reference.py")


class Seen(Exception):
    """A law that the unmutated reference passes was broken."""


@cache
def files() -> list["VectorFile"]:
    """The vectors, read once."""
    from sdtps_ref.golden import vectors

    return vectors.read_all(vectors.FOLDER)


def golden() -> str | None:
    """Every vector, stage by stage, in the order of `files`."""
    from sdtps_ref.golden import check
    from sdtps_ref.properties.reference import Reference

    for file in files():
        for report in check.check(Reference(), [file]):
            for mismatch in report.mismatches:
                return f"{mismatch.case.id} {mismatch.dtype}: {mismatch.message}"
    return None


def profile() -> "Profile":
    """Profile quick's corners, and one of its drawn cases: what this kills, quick kills."""
    from sdtps_ref.properties.engine.settings import Profile

    return Profile("mutation", 1, 1, shrink=False)


def laws() -> str | None:
    """Every law without a budget of its own, on both masks; a SHOULD counts as much as a MUST."""
    from sdtps_ref.properties.engine.certify import check_implementation
    from sdtps_ref.properties.reference import Reference

    for mask, warned in WARNED.items():

        def announce(result, mask=mask, warned=warned):
            if (result.refuses or result.warns) and result.id not in warned:
                message = result.failure.message if result.failure else result.reason
                raise Seen(f"{result.id} ({mask}): {message.splitlines()[0]}")

        try:
            check_implementation(Reference(mask), profile=profile(), reproduce=False, announce=announce)
        except Seen as seen:
            return str(seen)
    return None


def tests() -> str | None:
    """What is refused, and helpers that no contract shows."""
    import pytest

    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        quiet = ["-x", "-q", "--tb=line", "-p", "no:cacheprovider", "-p", "no:benchmark"]
        status = pytest.main([*quiet, *TESTS])
    if not status:
        return None
    lines = [line for line in output.getvalue().splitlines() if line.startswith(("FAILED", "ERROR"))]
    return lines[0] if lines else f"pytest ended with {status}"


KILLERS: dict[str, Callable[[], str | None]] = {"golden": golden, "laws": laws, "tests": tests}


def first_seen(order: Iterable[str]) -> tuple[str, str] | None:
    """The first killer that saw something, and what; None for a mutant that outlives them all."""
    for name in order:
        try:
            seen = KILLERS[name]()
        except Exception as error:  # the mutant cannot even be imported, or built
            seen = f"{type(error).__name__}: {error}"
        if seen:
            return name, seen.splitlines()[0]
    return None


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    found = first_seen(KILLERS)
    print("outlived golden, laws and tests" if found is None else "{}: {}".format(*found))
    sys.exit(found is not None)
