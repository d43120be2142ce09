"""Floats as the vectors write them: hex, and rounded to three formats by integer arithmetic, alike on every machine."""

import math

import numpy as np
from numpy.typing import NDArray

# Bits of significance (the leading one counted) and the exponent of the smallest normal number.
FORMATS = {"float64": (53, -1022), "float32": (24, -126), "bfloat16": (8, -126)}


def to_hex(x: float) -> str:
    """C99 hexadecimal, without the zeros at the end: 0.75 is 0x1.8p-1; inf and -inf by name."""
    text = float(x).hex()
    mantissa, p, exponent = text.partition("p")
    return mantissa.rstrip("0").rstrip(".") + p + exponent if "." in mantissa and p else text


def from_hex(text: str) -> float:
    """What `to_hex` wrote, to the bit. ValueError when it is no hex float."""
    if not text.lstrip("-").startswith(("0x", "inf")):
        raise ValueError(f"given {text!r}; accepted: a hex float such as 0x1.8p-1, inf or -inf")
    return float.fromhex(text)


def spacing(magnitude: float, dtype: str) -> float:
    """One unit in the last place of `dtype` at `magnitude` (>= 0): the gap to the next larger float."""
    bits, lowest = FORMATS[dtype]
    exponent = math.frexp(magnitude)[1] - 1 if magnitude else lowest
    return math.ldexp(1.0, max(exponent, lowest) - bits + 1)


def rounded(x: float, dtype: str) -> float:
    """The float of `dtype` nearest to x, ties to even; infinities stay. x is a float64."""
    if math.isinf(x) or dtype == "float64":
        return x
    unit = math.frexp(spacing(abs(x), dtype))[1] - 1
    return math.ldexp(round(math.ldexp(x, -unit)), unit)  # both scalings are exact, and round() ties to even


def nearest_float(sign: int, mantissa: int, exponent: int) -> float:
    """The float64 nearest to (-1)^sign * mantissa * 2^exponent, ties to even."""
    if exponent + mantissa.bit_length() < -1080:  # less than half of the smallest subnormal
        return 0.0
    # Division of two ints is correctly rounded in Python; mpmath's own conversion has changed between versions.
    magnitude = mantissa / (1 << -exponent) if exponent < 0 else float(mantissa << exponent)
    return -magnitude if sign else magnitude


def all_exact_in(values: NDArray[np.float64], dtype: str) -> bool:
    """Whether every number is one of `dtype`."""
    if dtype == "float64":
        return True
    narrow = values.astype(np.float32)  # bfloat16 is the upper half of it
    fits = narrow.view(np.uint32) & 0xFFFF == 0 if dtype == "bfloat16" else True
    return bool(np.all((narrow == values) & fits))
