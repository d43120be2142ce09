"""Modules as people write them, judged as `sdtps certify FILE.py` does it: by one call, without a word about them."""

import pytest

from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.engine.certify import check_implementation
from sdtps_ref.properties.reports.first_screen import first_screen
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, VARIANTS, plant_all
from sdtps_ref.properties.selftest.strangers import RIGHT, WRONG, Stranger

plant_all()


def judged(stranger: Stranger) -> Certificate:
    """Its certificate, by the laws of a call."""
    planted = (FAULTS if stranger.law else VARIANTS)[stranger.name]
    return check_implementation(planted(), laws=["call"], isolated=False, reproduce=False)


EVERYDAY = [*RIGHT[4::16], *WRONG[2::16]]


@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param(stranger, id=stranger.name, marks=() if stranger in EVERYDAY else pytest.mark.slow)
        for stranger in (*RIGHT, *WRONG)
    ],
)
def test_a_stranger_is_judged(stranger: Stranger) -> None:
    """A right one is certified and accused of nothing; of a wrong one the first cause is its fault, with its line."""
    certificate = judged(stranger)

    assert not [result.reason for result in certificate.laws if result.status == "error"]
    if stranger.law is None:
        assert (certificate.verdict, [cause.sentence for cause in certificate.causes]) == ("certified", [])
        return
    first = certificate.causes[0]
    assert first.kind == f"call.{stranger.law}", first.sentence
    assert first.where is not None and first.where.text in stranger.at
    screen = [line.plain for line in first_screen(certificate)]
    assert len(screen) <= 25 and max(map(len, screen)) <= 80
    assert any(str(first.where) in line for line in screen)


def test_there_are_as_many_as_were_promised() -> None:
    """24 or more, half of them right or nearly, each under a name of its own."""
    names = [stranger.name for stranger in (*RIGHT, *WRONG)]

    assert len(set(names)) == len(names) >= 24
    assert min(len(RIGHT), len(WRONG)) >= 12
