"""The laws as pytest tests: one law, one test id, in the manner of scikit-learn's `parametrize_with_checks`."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from sdtps_ref.properties.certificates.certificate import LawResult
from sdtps_ref.properties.certificates.expected import ExpectedFailure, GivenExpected
from sdtps_ref.properties.engine.certify import judge
from sdtps_ref.properties.engine.example_database import GivenDatabase
from sdtps_ref.properties.engine.make_settings import make_settings
from sdtps_ref.properties.engine.settings import Profile, RunSettings
from sdtps_ref.properties.kit.law import BATCHING_LAW, select_laws


class LawWarning(UserWarning):
    """A SHOULD was not met: the implementation is certified all the same."""


class LawBroken(AssertionError):
    """The implementation does not do what the law claims; the message is all there is to say."""


class BrokenAsExpected(LawBroken):
    """A law that was expected to fail did, and in the way that was expected."""


class BoundLaw:
    """A law that can be called with an implementation. The tests of one implementation share `results`."""

    def __init__(self, law_id: str, settings: RunSettings, results: dict[str, LawResult]):
        self.id, self.settings, self.results = law_id, settings, results

    @property
    def expected(self) -> ExpectedFailure | None:
        """How the law is expected to fail, if it is."""
        return self.settings.expected.get(self.id)

    def marks(self) -> tuple[Any, ...]:
        """What pytest is to know of the test: strictly expected to fail, and in no other way; or nothing."""
        import pytest

        if self.expected is None:
            return ()
        link = f" ({self.expected.link})" if self.expected.link else ""
        return (pytest.mark.xfail(reason=f"{self.expected.reason}{link}", raises=BrokenAsExpected, strict=True),)

    def __call__(self, implementation: Any) -> None:
        """Raise AssertionError where the law is broken, skip where it does not apply, warn where it is a SHOULD.

        Where it is expected to fail, BrokenAsExpected is raised if it does, and nothing if it does not: pytest knows
        of both by `marks`.
        """
        __tracebackhide__ = True  # who reads the failure looks for their own code
        import pytest

        early = {
            BATCHING_LAW
        } & self.settings.selected().keys()  # so that every test order packs, and so tries, the same cases
        for law_id, law in select_laws([*early, self.id]).items():
            if law_id not in self.results:
                self.results[law_id] = judge(law, implementation, self.results, self.settings)
        result = self.results[self.id]
        if result.status in ("skipped", "blocked"):
            pytest.skip(f"{result.status}: {result.reason}")
        if result.status in ("passed", "xpassed"):
            return
        said = _said(result)
        if result.warns:
            warnings.warn(said.partition("\n\n")[0], LawWarning, stacklevel=2)
        elif result.status == "xfailed":
            raise BrokenAsExpected(said)
        else:
            raise LawBroken(said)


def parametrize_with_laws(
    implementations: Iterable[Any],
    *,
    profile: str | Profile = "quick",
    laws: Iterable[str] | None = None,
    seed: int | None = None,
    device: str = "cpu",
    expected_failures: GivenExpected | None = None,
    database: GivenDatabase | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Parametrise a test over implementations and laws; the test calls `law(implementation)`.

    implementations: objects of the contract. The rest: as `check_implementation` has them. A law that is expected to
    fail is a strict xfail, with its reason.

        @parametrize_with_laws([MyImplementation()], expected_failures={"gradient.reaches_score": "frozen until #12"})
        def test_sdtps(implementation, law):
            law(implementation)

    Raises InvalidInput for an unknown profile or law, expected failures that make no sense, or a database out of reach.
    """
    import pytest

    named = None if laws is None else tuple(laws)
    settings = make_settings(profile, seed, device, laws=named, expected_failures=expected_failures, database=database)
    selected = tuple(settings.selected())
    rows = []
    for implementation in implementations:
        name = getattr(implementation, "name", type(implementation).__name__)
        for law in bound_laws(selected, settings):
            rows.append(pytest.param(implementation, law, id=f"{name}-{law.id}", marks=law.marks()))
    return pytest.mark.parametrize(("implementation", "law"), rows)


def bound_laws(law_ids: Iterable[str], settings: RunSettings) -> list[BoundLaw]:
    """These laws for one implementation. What one rests on is judged once, whichever test comes first."""
    results: dict[str, LawResult] = {}
    return [BoundLaw(law_id, settings, results) for law_id in law_ids]


def _said(result: LawResult) -> str:
    if result.failure is None:
        return f"{result.id}: {result.reason}"
    otherwise = f"\n  {result.reason}" if result.status in ("failed", "error") and result.reason else ""
    return f"{result.id}: {result.failure.message}{otherwise}\n  at {result.failure.case}\n\n{result.failure.script}"
