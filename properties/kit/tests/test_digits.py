"""Two numbers that differ look different in a message."""

import pytest
import torch

from sdtps_ref.properties import check_implementation
from sdtps_ref.properties.engine.settings import Profile
from sdtps_ref.properties.kit.digits import apart
from sdtps_ref.properties.reports.markdown import markdown
from sdtps_ref.properties.reports.record import record
from sdtps_ref.properties.selftest.planted.baseline import Plain


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ((1.0, 2.0), ("1", "2")),
        ((0.99999999999, 1.0), ("0.99999999999", "1")),
        ((1.0000000000000002, 1.0), ("1.0000000000000002", "1")),
        ((1.0, 1.0), ("1", "1")),
        ((float("nan"), 1.0), ("nan", "1")),
        ((1.0, 0.5, 1.0 - 1e-12), ("1", "0.5", "0.999999999999")),
    ],
)
def test_digits_until_they_differ(numbers: tuple[float, ...], shown: tuple[str, ...]) -> None:
    """As few as nine, as many as it takes, and the same for what is the same."""
    assert apart(*numbers) == shown


def test_no_message_says_that_a_number_should_be_itself() -> None:
    """D is off by one unit in the last place of float64, in the certificate as in its reports."""

    class Nearly(Plain):
        def join(self, hard: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
            joined = super().join(hard, soft)
            return joined * (1 - 2**-53) if joined.dtype == torch.float64 else joined

    few = Profile("few", 4, 2, shrink=False)
    certificate = check_implementation(
        Nearly(), profile=few, laws=["decision.forward_is_hard"], isolated=False, reproduce=False
    )

    message = certificate.laws[-1].failure.message
    assert "= 0.9999999999999999, but should be 1 " in message
    assert "0.9999999999999999" in record(certificate)
    assert "0.9999999999999999" in markdown(certificate)
