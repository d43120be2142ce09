"""What a law has seen, small enough to keep: numbers for the plots of a report, in plain data.

`probe.findings` is what a person reads, `probe.evidence` what is drawn for them: four significant digits, None
where a number is not finite, a few kilobytes at most.
"""

import math
from typing import Any

import torch
from torch import Tensor

EULER = 0.5772156649015329  # the mean of Gumbel(0, 1)
BINS = 60
SAMPLES = 8  # that are shown of a batch


def noise(found: Tensor) -> dict[str, Any]:
    """A histogram of recovered noise (B N, rows less their mean), moved so that Gumbel(0, 1) would lie on its density.

    low, high: the ends of the bins; counts: how many values each holds; below, above: how many lie beyond the
    ends; infinite: how many are no numbers.
    """
    values = found.detach().double().cpu().flatten() + EULER
    finite = values[values.isfinite()]
    ends = finite.quantile(torch.tensor([0.0005, 0.9995], dtype=finite.dtype)) if 0 < len(finite) <= 10**7 else (-3, 8)
    low, high = rounded(min(float(ends[0]), -2.5)), rounded(max(float(ends[1]), 7.0))
    return {
        "low": low,
        "high": high,
        "counts": torch.histc(finite, BINS, low, high).long().tolist(),
        "below": int((finite < low).sum()),
        "above": int((finite > high).sum()),
        "infinite": len(values) - len(finite),
    }


def decision(found: Tensor, score: Tensor, jacobian: Tensor, at: str) -> dict[str, Any]:
    """D and score (B N each, the first samples), and the Jacobian of the first D with respect to its score (N N)."""
    return {
        "decision": plain(found[:SAMPLES]),
        "score": plain(score[:SAMPLES]),
        "jacobian": plain(jacobian[0]),
        "at": at,
    }


def gradient(found: Tensor, well_conditioned: Any, gain: float, at: str) -> dict[str, Any]:
    """The score's gradient as found and at a gain of one (B N each), in the sample where it is largest."""
    owed = torch.as_tensor(well_conditioned)
    b = int(found.detach().abs().nan_to_num(0.0).amax(-1).argmax())
    return {"found": plain(found[b]), "well_conditioned": plain(owed[b]), "gain": rounded(gain), "at": at}


def plain(values: Tensor) -> Any:
    """Nested lists of rounded numbers in the tensor's shape."""
    return _each(values.detach().double().cpu().tolist())


def rounded(value: float) -> Any:
    """Four significant digits; None where it is not finite, which JSON has no word for."""
    return float(f"{value:.4g}") if math.isfinite(value) else None


def printable(finding: Any) -> Any:
    """A finding as JSON can hold it: a number that is not finite becomes its name."""
    return str(finding) if isinstance(finding, float) and not math.isfinite(finding) else finding


def _each(values: Any) -> Any:
    return [_each(value) for value in values] if isinstance(values, list) else rounded(values)
