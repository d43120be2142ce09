"""No green for nothing: what nobody saw at work is not certified, and what a subject raises is never the judge's."""

import pytest
import torch
from hypothesis.errors import StopTest, UnsatisfiedAssumption

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties import Selection, check_implementation
from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.contract import METHODS
from sdtps_ref.properties.engine.settings import Profile
from sdtps_ref.properties.kit.outcomes import Inconclusive, Unsupported, Violation
from sdtps_ref.properties.selftest.planted.baseline import Plain

FEW = Profile("few", examples=4, minimum=2, shrink=False)


def judged(subject: object, **options: object) -> Certificate:
    """The certificate of `subject`, tried in this process."""
    return check_implementation(subject, profile=FEW, isolated=False, reproduce=False, **options)


def not_written(*arguments: object, **named: object) -> None:
    """What a stub does."""
    raise NotImplementedError("not written yet")


def result_of(certificate: Certificate, law: str) -> LawResult:
    """What became of a law."""
    return next(result for result in certificate.laws if result.id == law)


@pytest.mark.parametrize("methods", [("selector",), METHODS])
def test_nothing_filled_in_is_nothing_measured(methods: tuple[str, ...]) -> None:
    """An adapter of stubs is refused before any law runs, and the message says what is missing."""
    stubs = type("Stubs", (), {"name": "stubs", **dict.fromkeys(methods, not_written)})()

    with pytest.raises(InvalidInput, match="selector raises NotImplementedError"):
        judged(stubs)


@pytest.mark.parametrize(
    ("laws", "level"),
    [(["gradient.matches_closed_form", "shape"], None), pytest.param(None, "selection", marks=pytest.mark.slow)],
)
def test_a_stub_beside_what_works_counts_as_missing(laws: list[str] | None, level: str | None) -> None:
    """The selector is certified, at the level of a selector, and each law that needs the stub says so."""
    half = type("Half", (), {"name": "half", "selector": Plain().selector, "pipeline": not_written})()

    certificate = judged(half, laws=laws)

    assert (certificate.verdict, certificate.level) == ("certified", level)
    assert certificate.implementation["methods"] == ["selector"]
    assert "pipeline raises NotImplementedError" in result_of(certificate, "gradient.matches_closed_form").reason


def test_a_law_that_asked_nothing_does_not_pass() -> None:
    """Where a law has nothing to ask (one token, of a selector alone) it has not judged that class of input."""
    alone = type("Alone", (), {"name": "alone", "selector": Plain().selector})()

    reaches = result_of(judged(alone, laws=["gradient.reaches_score"]), "gradient.reaches_score")

    assert reaches.status == "passed"
    assert reaches.discarded > 0
    assert "N=1" not in reaches.classes


def test_not_implemented_is_no_refusal_of_bad_input() -> None:
    """NotImplementedError says that code is missing; whoever gave bad input wants to be told what is wrong with it."""

    class Unfinished(Plain):
        def selector(self, *, num_tokens: int, keep: int, **sizes: object):
            made = super().selector(num_tokens=num_tokens, keep=min(max(keep, 1), num_tokens), **sizes)

            def select(tokens: torch.Tensor, score: torch.Tensor) -> Selection:
                if not 1 <= keep <= num_tokens:
                    raise NotImplementedError("cannot keep so many")
                return made(tokens, score)

            return select

    law = "errors.keep_larger_than_tokens"
    result = result_of(judged(Unfinished(), laws=[law]), law)

    assert result.status == "failed"
    assert "NotImplementedError" in result.failure.message


SIGNALS = (Unsupported("let me off"), Inconclusive(), Violation("mine"), UnsatisfiedAssumption(), StopTest(1))


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: type(signal).__name__)
@pytest.mark.parametrize("rarely", [False, True])
def test_what_a_subject_raises_is_not_the_judges_signal(signal: BaseException, rarely: bool) -> None:
    """The judge's own exceptions, and hypothesis's, raised by the subject are errors of the subject."""

    class Raising(Plain):
        def choose(self, score, noise, keep):
            if not rarely or score.shape[1] == 7:
                raise signal
            return super().choose(score, noise, keep)

    certificate = judged(Raising(), laws=["decision.forward_is_hard"])

    assert certificate.laws[0].status == "error"
    assert certificate.laws[0].failure.raised == type(signal).__name__


def test_an_error_that_cannot_be_printed_is_told_all_the_same() -> None:
    """An exception whose str() raises does not take the certifier with it."""

    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    class Raising(Plain):
        def choose(self, score, noise, keep):
            raise Silent

    certificate = judged(Raising(), laws=["decision.forward_is_hard"])

    assert "raised Silent: its str() raises" in certificate.laws[0].failure.message
