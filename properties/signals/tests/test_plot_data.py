"""What laws leave for the plots of a report."""

import json

import pytest
import torch

from sdtps_ref.properties import check_implementation
from sdtps_ref.properties.engine.settings import Profile
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, Plain, plant_all
from sdtps_ref.properties.signals import plot_data

plant_all()
FEW = Profile("few", examples=2, minimum=1, shrink=False)


def seen(implementation: Plain, law: str) -> dict:
    """The evidence of one law."""
    certificate = check_implementation(implementation, profile=FEW, laws=[law], reproduce=False, isolated=False)
    return next(result.evidence for result in certificate.laws if result.id == law)


def test_noise_is_a_histogram_of_all_draws() -> None:
    """Right noise has Gumbel's mean and spread in it; every draw is in a bin or beyond the ends."""
    found = seen(Plain(), "noise.is_gumbel")["noise"]

    counts, width = torch.tensor(found["counts"]).double(), (found["high"] - found["low"]) / len(found["counts"])
    middles = found["low"] + width * (torch.arange(len(counts)) + 0.5)
    mean = float((counts * middles).sum() / counts.sum())
    spread = float(((counts * (middles - mean) ** 2).sum() / counts.sum()).sqrt())
    assert mean == pytest.approx(plot_data.EULER, abs=0.02)
    assert spread == pytest.approx(1.2825, abs=0.03)  # pi / sqrt(6), less the tails
    assert int(counts.sum()) + found["below"] + found["above"] + found["infinite"] == 1000 * 256


def test_a_jacobian_of_a_softmax_is_kept() -> None:
    """D is of zeros and ones, K a row; its Jacobian is symmetric with rows that sum to zero."""
    found = seen(Plain(), "decision.backward_is_softmax")["decision"]

    jacobian = torch.tensor(found["jacobian"])
    assert {value for row in found["decision"] for value in row} == {0.0, 1.0}
    assert torch.allclose(jacobian, jacobian.T, atol=1e-4)
    assert torch.allclose(jacobian.sum(-1), torch.zeros(len(jacobian)), atol=1e-3)


@pytest.mark.slow
def test_the_gain_lies_between_the_two_gradients() -> None:
    """Through the published mask the gradient is 1e10 times the well-conditioned one in every token."""
    found = seen(FAULTS["PublishedMask"](), "gradient.well_conditioned")["gradient"]

    ratios = torch.tensor(found["found"], dtype=torch.float64) / torch.tensor(found["well_conditioned"])
    assert found["gain"] == pytest.approx(1e10, rel=1e-3)
    assert torch.allclose(ratios, torch.full_like(ratios, 1e10), rtol=1e-2)


def test_it_is_no_part_of_the_diagnosis() -> None:
    """Findings are told, evidence is drawn."""
    certificate = check_implementation(
        Plain(), profile=FEW, laws=["decision.backward_is_softmax"], reproduce=False, isolated=False
    )

    assert set(certificate.diagnosis) == {"temperature"}


def test_what_is_no_number_is_json_all_the_same() -> None:
    """NaN and infinity become null in evidence and a word in findings; an empty histogram is one of nothing."""
    none = plot_data.noise(torch.full((2, 3), float("nan")))
    gradient = plot_data.gradient(torch.tensor([[1.0, float("inf")]]), [[1.0, float("nan")]], float("nan"), "here")

    json.dumps([none, gradient], allow_nan=False)
    assert (sum(none["counts"]), none["infinite"]) == (0, 6)
    assert gradient["found"] == gradient["well_conditioned"] == [1.0, None]
    assert plot_data.printable(float("inf")) == "inf"
