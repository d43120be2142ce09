"""Options and fixtures of the pytest benchmarks: who is timed, at which sizes, on which devices.

Among other tests they have the marker `slow`: whoever is timed is certified first.

pytest benchmarks --benchmark-only                           everyday: a few seconds, once it is certified
pytest benchmarks --benchmark-only --bench-size published    every size of the papers: hours on a CPU
pytest benchmarks --benchmark-only --bench-size 64x196x512 --bench-dtype bfloat16 --bench-compile
pytest benchmarks --benchmark-only --bench-target mine.py:Mine --bench-reference subtract --bench-reference log
pytest benchmarks --benchmark-json FILE                      with environment, limit and counts of each
"""

from typing import Any

import pytest

from benchmarks.tests.pytest_timing import time_stage
from sdtps_ref.benchmarks.timing.environment import why_no_gpu
from sdtps_ref.benchmarks.timing.machine import Machine, machine
from sdtps_ref.benchmarks.workloads.eligibility import Admissions
from sdtps_ref.benchmarks.workloads.implementations import Subject, bundled, compiled, from_target
from sdtps_ref.benchmarks.workloads.sizes import EVERYDAY, sizes_named
from sdtps_ref.benchmarks.workloads.workload import MODES
from sdtps_ref.benchmarks.workloads.workloads import DTYPES
from sdtps_ref.errors import SDTPSError

MASKS = ("subtract", "log")
OPTIONS = ("target", "reference", "size", "dtype", "compile")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Nothing is read from the environment."""
    group = parser.getgroup("sdtps benchmarks")
    group.addoption("--bench-target", action="append", default=[], metavar="TARGET", help="time it too, if certified")
    group.addoption(
        "--bench-reference", action="append", default=[], choices=MASKS, help="the reference with this mask (log)"
    )
    group.addoption("--bench-size", action="append", default=[], metavar="SIZE", help="as `sdtps bench --size`")
    group.addoption("--bench-dtype", action="append", default=[], choices=DTYPES, help="(default: float32)")
    group.addoption("--bench-compile", action="store_true", help="each through torch.compile as well")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The cells of a benchmark: one for each subject, mode, size, dtype and device."""
    if "subject" not in metafunc.fixturenames:
        return
    # Where pytest loads this file too late for its options to exist, the defaults hold.
    given = {name: metafunc.config.getoption(f"--bench-{name}", []) for name in OPTIONS}
    try:
        eager = [bundled()[f"reference, {mask}"] for mask in given["reference"] or ["log"]]
        eager += [from_target(target) for target in given["target"]]
        sizes = [size for name in given["size"] for size in sizes_named(name)] or EVERYDAY[:1]
    except SDTPSError as error:
        raise pytest.UsageError(str(error)) from error
    subjects = eager + [compiled(subject) for subject in eager if given["compile"]]
    metafunc.parametrize("subject", subjects, ids=lambda subject: subject.name.replace(", ", "-"))
    metafunc.parametrize("mode", MODES)
    metafunc.parametrize("size", sizes, ids=str)
    metafunc.parametrize("dtype", given["dtype"] or DTYPES[:1])
    marks = () if metafunc.config.getoption("--benchmark-only", False) else pytest.mark.slow
    metafunc.parametrize("device", [pytest.param(device, marks=marks) for device in ("cpu", "cuda")])


@pytest.fixture(scope="session")
def admissions() -> Admissions:
    """One for the session: everyone is certified once."""
    return Admissions()


@pytest.fixture(scope="session")
def machines() -> dict[str, Machine]:
    """Measured once for the session."""
    return {}


@pytest.fixture
def timed(
    benchmark: Any,
    subject: Subject,
    mode: str,
    size: Any,
    dtype: str,
    device: str,
    admissions: Admissions,
    machines: dict[str, Machine],
) -> Any:
    """Time one stage with pytest-benchmark's own rounds, and put what belongs to the time into extra_info."""
    if device == "cuda" and why_no_gpu():
        pytest.skip(why_no_gpu())
    if device not in machines:
        machines[device] = machine(device)

    def run(stage: str) -> None:
        time_stage(benchmark, subject, stage, mode, size, dtype, machines[device], admissions)

    return run
