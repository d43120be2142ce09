"""The pytest plugin: `pytest --sdtps-target mine.py:Mine` collects one test a law, in any folder.

Installed with the suite, so it is loaded into everybody's pytest: it has no marks and one fixture, `sdtps_trace`, and
imports nothing, torch least of all, until its option is given or the fixture is asked for. Laws raise explicitly, so
none of them needs pytest's rewriting of assertions.
"""

from typing import Any

import pytest

OPTIONS = {
    "--sdtps-target": (
        "TARGET",
        "add the laws of SDTPS on this: a target as `sdtps certify` takes it",
    ),
    "--sdtps-profile": ("PROFILE", "how hard to look: quick, ci, deep (default: quick)"),
    "--sdtps-expected": ("FILE", "TOML file of laws that are known to fail"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """The three options. Their values are checked in `pytest_configure`: that takes an import of torch."""
    group = parser.getgroup("sdtps", "laws of SDTPS")
    for name, (metavar, text) in OPTIONS.items():
        group.addoption(name, metavar=metavar, help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Find the target, or say in one line why not: exit status 4."""
    target, profile, expected = (config.getoption(name) for name in OPTIONS)
    if target is None:
        for name, value in (("--sdtps-profile", profile), ("--sdtps-expected", expected)):
            if value is not None:
                raise pytest.UsageError(f"given {name} without --sdtps-target; accepted: both, or neither")
        return

    from sdtps_ref.errors import SDTPSError
    from sdtps_ref.properties.pytest_plugin.collection import TargetLaws

    try:
        laws = TargetLaws(target, profile or "quick", expected)
        laws.take_arguments(config)
    except SDTPSError as error:
        raise pytest.UsageError(str(error)) from error
    config.pluginmanager.register(laws, "sdtps target")


@pytest.fixture
def sdtps_trace() -> Any:
    """`with sdtps_trace(model):` around one training step, then `sdtps_trace.check()`: fails as `sdtps trace` would."""
    from sdtps_ref.properties.pytest_plugin.fixture import Traces

    return Traces()
