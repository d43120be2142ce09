"""The laws as pytest tests: one law, one test id, in the manner of scikit-learn's `parametrize_with_checks`."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from sdtps_ref.properties.certificate import LawResult
from sdtps_ref.properties.certify import judge
from sdtps_ref.properties.law import select_laws
from sdtps_ref.properties.terms import Profile, Terms, named_profile


class LawWarning(UserWarning):
    """A SHOULD was not met: the implementation is certified all the same."""


class BoundLaw:
    """A law that can be called with an implementation. The tests of one implementation share `results`."""

    def __init__(self, law_id: str, terms: Terms, results: dict[str, LawResult]):
        self.id, self.terms, self.results = law_id, terms, results

    def __call__(self, implementation: Any) -> None:
        """Raise AssertionError where the law is broken, skip where it does not apply, warn where it is a SHOULD."""
        import pytest

        for law_id, law in select_laws([self.id]).items():
            if law_id not in self.results:
                self.results[law_id] = judge(law, implementation, self.results, self.terms)
        result = self.results[self.id]
        if result.status in ("skipped", "blocked"):
            pytest.skip(f"{result.status}: {result.reason}")
        if result.status == "passed":
            return
        said = f"{result.id}: {result.reason}"
        if result.failure is not None:
            said = f"{result.id}: {result.failure.message}\n  at {result.failure.case}\n\n{result.failure.script}"
        if result.warns:
            warnings.warn(said.partition("\n\n")[0], LawWarning, stacklevel=2)
        else:
            raise AssertionError(said)


def parametrize_with_laws(
    implementations: Iterable[Any],
    *,
    profile: str | Profile = "quick",
    laws: Iterable[str] | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Parametrise a test over implementations and laws; the test calls `law(implementation)`.

    implementations: objects of the contract. profile, laws, seed, device: as `check_implementation` has them.

        @parametrize_with_laws([MyImplementation()])
        def test_sdtps(implementation, law):
            law(implementation)

    Raises InvalidInput for an unknown profile or law.
    """
    import pytest

    terms = Terms(named_profile(profile), seed, device, laws=None if laws is None else tuple(laws))
    selected = terms.selected()
    rows = []
    for implementation in implementations:
        results: dict[str, LawResult] = {}
        name = getattr(implementation, "name", type(implementation).__name__)
        for law_id in selected:
            rows.append(pytest.param(implementation, BoundLaw(law_id, terms, results), id=f"{name}-{law_id}"))
    return pytest.mark.parametrize(("implementation", "law"), rows)
