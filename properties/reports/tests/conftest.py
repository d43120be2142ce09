"""Certificates that the tests of reports share: one that was measured, one by hand, and a hostile one."""

from dataclasses import replace

import pytest

from sdtps_ref.properties import check_implementation
from sdtps_ref.properties.certificates.certificate import Certificate, Failure, LawResult
from sdtps_ref.properties.certificates.expected import ExpectedFailure
from sdtps_ref.properties.engine.settings import Profile
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, plant_all

CASE = Case(batch=1, num_tokens=4, keep=2, dim=8, slots=2)
KNOWN = ExpectedFailure("known since spring", link="https://example.org/7")
SCRIPT = "import torch\nprint('```')\n"


@pytest.fixture(scope="session")
def measured() -> Certificate:
    """Of one with the published mask and half the noise: it has every plot, a refusal and a warning."""
    plant_all()

    class Both(FAULTS["PublishedMask"]):
        name = "both"

        def noise(self, score):
            return super().noise(score) / 2

    few = Profile("few", examples=4, minimum=2, shrink=False)
    laws = ["gradient.well_conditioned", "noise.is_gumbel"]  # and what they rest on
    return check_implementation(Both(), profile=few, laws=laws, reproduce=False, isolated=False)


@pytest.fixture
def every(measured: Certificate) -> Certificate:
    """With a law of every status, and of both levels where it failed."""
    return replace(
        measured,
        implementation=measured.implementation | {"name": "every"},
        laws=(
            LawResult("shape.follows_inputs", "MUST", "passed", examples=3, seconds=0.5),
            LawResult("decision.forward_is_hard", "MUST", "failed", examples=2, failure=failure("D is soft")),
            LawResult("gradient.well_conditioned", "SHOULD", "failed", examples=2, failure=failure("gain of 1e10")),
            LawResult("noise.is_gumbel", "MUST", "error", examples=1, failure=failure("it raised", "KeyError")),
            LawResult("noise.is_finite", "MUST", "error", reason="only 1 of 9 cases said something"),
            LawResult("runtime.compiles", "SHOULD", "skipped", reason="no time"),
            LawResult("decision.keeps_top_k", "MUST", "blocked", reason="rests on decision.forward_is_hard"),
            LawResult("errors.nan_scores", "MUST", "xfailed", examples=1, failure=failure("NaN"), expected=KNOWN),
            LawResult("errors.keep_of_zero", "MUST", "xpassed", reason="thought to fail", examples=1),
        ),
    )


HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "]]> | a `b` ``` **c** [d](javascript:alert(1)) </pre></details> &lt; {{ 7 * 7 }} @someone \x00\x1b[31m\u202e\udcff"
)


@pytest.fixture
def hostile(measured: Certificate) -> Certificate:
    """Of a subject that puts markup, control characters and torn Unicode into all that it may name or say."""
    broken = failure(HOSTILE, HOSTILE)
    fallen = LawResult("decision.forward_is_hard", "MUST", "failed", reason=HOSTILE, examples=1, failure=broken)
    left_out = LawResult("runtime.compiles", "SHOULD", "skipped", reason=HOSTILE)
    told = [replace(r, findings={HOSTILE: HOSTILE}) if r.id == "shape.follows_inputs" else r for r in measured.laws]
    return replace(
        measured,
        implementation=measured.implementation | {"name": HOSTILE, "target": HOSTILE, "notes": [HOSTILE]},
        environment=measured.environment | {"device_name": HOSTILE},
        laws=(*(r for r in told if r.id not in (fallen.id, left_out.id)), fallen, left_out),
    )


def failure(message: str, raised: str = "") -> Failure:
    """A failure that says that."""
    return Failure(message, CASE, f"{SCRIPT}# {message}\n", raised=raised, traceback=f"Traceback: {message}")
