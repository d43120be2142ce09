"""Hold an implementation to the vectors, and say what could not be compared.

The contract alone opens decision, selection, extra_token and the gradients of D without noise. Beyond it
these optional doors are used where an implementation has them:

    aggregator(...).load_weights(weights)                 aggregation
    pipeline(...).load_weights(weights)                   pipeline, gradients
    multimodal(...).load_weights(weights, score_weights)  multimodal, both by modality
    gumbel_noise(uniform), soft_mask(score, gumbel_noise, tau), decision(score, gumbel_noise, *, keep, tau)
    scorer(*, dim, beta), two_branches(*, dim, num_tokens, keep, slots, tau), both with load_weights

`weights` is a mapping of tensors named as in the files, laid out as in torch.nn.Linear. What has no load_weights, and
parameters of the same shapes, one to one, is given them by shape.
"""

import contextlib
import io
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdtps_ref.golden import vectors
from sdtps_ref.golden.extractors import DOORS
from sdtps_ref.golden.factories import NotAvailable
from sdtps_ref.golden.vectors import Case, VectorFile
from sdtps_ref.properties.kit.outcomes import Unsupported, raised_by_judge
from sdtps_ref.properties.kit.probe import first_line

FINITE_LIMIT = 4.0  # where the formula is infinite, the least magnitude of a finite answer


@dataclass(frozen=True)
class Mismatch:
    """One output of one case that is not what the vector says."""

    case: Case
    dtype: str
    message: str


@dataclass
class StageReport:
    """What came of one file."""

    stage: str
    cases: int
    checked: int = 0  # cases times formats in which something was compared
    entries: int = 0  # numbers compared
    mismatches: list[Mismatch] = field(default_factory=list)
    unchecked: Counter[str] = field(default_factory=Counter)  # reason -> cases times formats
    largest_error: dict[str, float] = field(default_factory=dict)  # format -> the largest error over its allowance


def check(implementation: Any, files: Iterable[VectorFile]) -> list[StageReport]:
    """Hold `implementation` to every case of every file, in every format that the case is for."""
    reports = []
    for file in files:
        report = StageReport(file.stage, len(file.cases))
        for case in file.cases:
            inputs = vectors.decode_input(case.inputs)
            for dtype in case.formats:
                _check_case(implementation, file.stage, case, inputs, dtype, report)
        reports.append(report)
    return reports


def _check_case(
    implementation: Any, stage: str, case: Case, inputs: dict[str, Any], dtype: str, report: StageReport
) -> None:
    door = DOORS.get(stage)
    try:
        if door is None:
            raise NotAvailable(f"nothing here knows the stage {stage}")
        torch.manual_seed(0)
        # What modules say when they are made and called is not what was asked for.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            found = door(implementation, inputs, getattr(torch, dtype), case.flags)
    except NotAvailable as reason:
        report.unchecked[str(reason)] += 1
        return
    except Exception as error:
        if isinstance(error, Unsupported) and raised_by_judge(error):  # an adapter's own limit
            report.unchecked[str(error)] += 1
            return
        if dtype == "bfloat16" and "not implemented for" in str(error):
            report.unchecked["torch has no bfloat16 of an operator it uses"] += 1
            return
        report.mismatches.append(Mismatch(case, dtype, f"raised {type(error).__name__}: {first_line(error)}"))
        return
    report.checked += 1
    for left_out in found.left_out:
        report.unchecked[left_out] += 1
    for name, actual in found.outputs.items():
        output = found.instead.get(name) or case.expected.get(name)
        if output is not None:
            message = compare(name, actual, output, dtype, report)
            if message:
                report.mismatches.append(Mismatch(case, dtype, message))


def compare(
    name: str, actual: Tensor, output: Mapping[str, Any], dtype: str, report: StageReport | None = None
) -> str | None:
    """What is wrong with an output, in one line; None when it is as written, or when `dtype` is left out."""
    expected = vectors.written(output, dtype)
    if expected is None:
        return None
    if list(actual.shape) != output["shape"]:
        return f"{name} has shape {list(actual.shape)}, but should have {output['shape']}"
    flat = actual.detach().reshape(-1)
    values: NDArray[Any] = flat.to(torch.int64).numpy() if "integers" in output else flat.to(torch.float64).numpy()
    positions = output.get("positions", range(len(values)))
    if "positions" in output and "ulps" not in output:  # exact: the digest holds every entry, not only the sample
        whole = values.tolist() if "integers" in output else [vectors.to_hex(x) for x in values + 0.0]
        if vectors.digest(whole) != output["sha256"]:
            return f"{name} has another sha256 than {output['sha256'][:12]}..."
    values = values[list(positions)]
    limit = vectors.allowed(output, dtype, expected)
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(values - expected) <= limit)  # NaN equals nothing
        infinite = np.isinf(expected)
        right_sign = np.isfinite(values) & (np.sign(values) == np.sign(expected)) & (np.abs(values) >= FINITE_LIMIT)
        wrong = np.where(infinite, ~right_sign, wrong)
    if report is not None:
        report.entries += len(values)
        _note_error(report, dtype, values[~infinite], expected[~infinite], limit[~infinite])
    if not wrong.any():
        return None
    first = int(wrong.argmax())
    index = ", ".join(map(str, np.unravel_index(positions[first], output["shape"])))
    owed = "exact" if not limit[first] else f"{output['ulps'][dtype]} units in the last place allowed"
    should = "finite, of its sign and 4 or more" if infinite[first] else repr(expected[first].item())
    return (
        f"{name}[{index}] = {values[first].item()!r}, but should be {should} "
        f"({int(wrong.sum())} of {len(values)} entries; {owed})"
    )


def _note_error(report: StageReport, dtype: str, values: Any, expected: Any, limit: Any) -> None:
    loose = limit > 0
    if loose.any():
        worst = float(np.max(np.abs(values - expected)[loose] / limit[loose]))
        report.largest_error[dtype] = max(worst, report.largest_error.get(dtype, 0.0))
