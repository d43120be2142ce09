"""Hex floats and rounding, against Python, numpy and torch."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from sdtps_ref.golden import floats
from sdtps_ref.golden.draw import Draw

EDGES = [
    0.0,
    1.0,
    -1.0,
    0.1,
    2.0**-126,
    2.0**-133,
    1.5 * 2.0**-133,
    2.0**-149,
    2.0**-1074,
    1 + 2.0**-8,
    1 + 3 * 2.0**-8,
]


def numbers() -> list[float]:
    """Edges, and numbers of many exponents with all 53 bits."""
    draw = Draw(5)
    drawn = [math.ldexp(draw.bits() >> 11, draw.below(120) - 113) for _ in range(500)]
    return EDGES + drawn + [-x for x in drawn]


def test_hex_floats_lose_nothing() -> None:
    """Reading back what was written gives the same bits."""
    written = [floats.to_hex(x) for x in [*numbers(), math.inf, -math.inf]]

    assert [floats.from_hex(text) for text in written] == [*numbers(), math.inf, -math.inf]
    assert written[1] == "0x1p+0" and floats.to_hex(0.75) == "0x1.8p-1"


def test_decimal_text_is_refused() -> None:
    """A decimal is not taken for hex: "10" would be 16."""
    with pytest.raises(ValueError, match="accepted: a hex float"):
        floats.from_hex("10")


@pytest.mark.parametrize("dtype", floats.FORMATS)
def test_rounding_is_torchs(dtype: str) -> None:
    """Rounded to a format as torch converts: to the nearest, ties to even, subnormals included."""
    # Code that torch 2.4 compiles is linked with -ffast-math, and once it is loaded, this thread flushes subnormals.
    torch.set_flush_denormal(False)
    expected = torch.tensor(numbers(), dtype=torch.float64).to(getattr(torch, dtype)).double().tolist()

    assert [floats.rounded(x, dtype) for x in numbers()] == expected


def test_spacing_is_numpys() -> None:
    """One unit in the last place is the gap to the next float."""
    positive = [abs(x) for x in numbers() if abs(x) > 2.0**-120]

    assert [floats.spacing(x, "float64") for x in positive] == [float(np.spacing(x)) for x in positive]
    singles = [float(np.float32(x)) for x in positive]
    assert [floats.spacing(x, "float32") for x in singles] == [float(np.spacing(np.float32(x))) for x in singles]
    assert floats.spacing(1.0, "bfloat16") == torch.finfo(torch.bfloat16).eps


@pytest.mark.parametrize(
    ("mantissa", "exponent"),
    [(1, 0), (2**60 + 1, -60), (2**54 + 1, 0), (2**54 + 2, 0), (3, -1075), (1, -1075), (7, -9999)],
)
def test_nearest_float_is_the_nearest(mantissa: int, exponent: int) -> None:
    """No float64 is nearer to mantissa * 2^exponent; of two as near, the even one."""
    exact = Fraction(mantissa) * Fraction(2) ** exponent

    found = floats.nearest_float(1, mantissa, exponent)

    assert found == -float(exact)
