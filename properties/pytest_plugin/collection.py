"""The laws of one target as pytest items, `sdtps::mine.py:Mine::decision.forward_is_hard`."""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import pytest

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.engine.make_settings import make_settings
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.pytest_plugin.parametrize import BoundLaw, LawBroken, bound_laws
from sdtps_ref.properties.targets.target import resolve

ROOT = "sdtps"


class LawItem(pytest.Item):
    """One law on the target."""

    def __init__(self, *, law: BoundLaw, implementation: Any, **given: Any):
        super().__init__(**given)
        self.law, self.implementation = law, implementation
        for mark in law.marks():
            self.add_marker(mark)

    def runtest(self) -> None:
        """Judge the law, and what it rests on where that has not been judged."""
        self.law(self.implementation)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What the law says, without the certifier's own traceback."""
        if isinstance(excinfo.value, LawBroken) and style in (None, "auto"):
            shown = excinfo.getrepr(style="value")
            if shown.reprcrash is not None:  # the short summary has room for one line: no place for a class's name
                shown.reprcrash.message = str(excinfo.value).removeprefix(f"{self.law.id}: ").splitlines()[0]
            return shown
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, None, str]:
        """What stands over its failure."""
        return self.path, None, f"{self.law.id} ({self.parent.name if self.parent else ROOT})"


class TargetCollector(pytest.Collector):
    """All laws on the target."""

    def __init__(self, *, laws: list[BoundLaw], implementation: Any, **given: Any):
        super().__init__(**given)
        self.laws, self.implementation = laws, implementation
        self.extra_keyword_matches.add(ROOT)  # for -k sdtps

    def collect(self) -> Iterator[LawItem]:
        """One item a law, in an order in which foundations come first."""
        for law in self.laws:
            yield LawItem.from_parent(self, name=law.id, law=law, implementation=self.implementation)


class TargetLaws:
    """The plugin that adds the laws of one target to what pytest collects."""

    def __init__(self, target: str, profile: str, expected: str | None):
        """Raises InvalidInput or TargetError, in one line, for what cannot be judged."""
        self.target = target
        self.settings = make_settings(profile, target=target, expected_failures=expected)
        self.resolved = resolve(target)
        self.wanted = tuple(all_laws())

    def take_arguments(self, config: pytest.Config) -> None:
        """Take ids of laws (`sdtps::mine.py:Mine::LAW`, or `sdtps::` for all) off the command line.

        pytest would look for files of these names. Raises InvalidInput for an id that is none.
        """
        ours = [argument for argument in config.args if self._is_ours(argument)]
        if ours:
            config.args[:] = [argument for argument in config.args if argument not in ours]
            # pytest-xdist gives a worker on this machine our command line; one elsewhere gets what is left of the
            # arguments, and the options, with which these go.
            config.option.sdtps_arguments, config.option.sdtps_alone = ours, not config.args
        elif getattr(config.option, "sdtps_alone", False):
            config.args[:] = []  # given no arguments, it has put the current folder here
        ours = getattr(config.option, "sdtps_arguments", ours)
        if ours:
            wanted = {law for argument in ours for law in self._laws_of(argument)}
            self.wanted = tuple(law_id for law_id in all_laws() if law_id in wanted)

    def pytest_report_header(self) -> list[str]:
        """What is judged and how hard; which adapter was taken, and what it could not certify."""
        judged = f"sdtps: {self.target}, profile {self.settings.profile.name}, seed {self.settings.seed}"
        return [judged, *(f"sdtps: {line}" for line in self.resolved.told)]

    @pytest.hookimpl(tryfirst=True)  # before -k and --lf make their choice
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the laws. Collected by the session itself, so that they are counted and reported as all others are."""
        laws = bound_laws(self.wanted, self.settings)
        collector = TargetCollector.from_parent(
            session,
            name=self.target,
            nodeid=f"{ROOT}::{self.target}",
            laws=laws,
            implementation=self.resolved.implementation,
        )
        items.extend(session.genitems(collector))

    @staticmethod
    def _is_ours(argument: str) -> bool:
        head, separator, _ = argument.partition("::")
        return bool(separator) and PurePath(head).name == ROOT  # pytest prints ids relative to where it was called

    def _laws_of(self, argument: str) -> tuple[str, ...]:
        _, _, rest = argument.partition("::")
        target, _, law_id = rest.rpartition("::") if rest != self.target else (rest, "", "")
        if rest in ("", self.target):
            return tuple(all_laws())
        if target != self.target or law_id not in all_laws():
            raise InvalidInput.given(f"{argument}", f"{ROOT}::{self.target}::LAW, as --collect-only lists them")
        return (law_id,)
