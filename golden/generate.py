"""Write the vectors: alike on every machine and version, and written only where two computations agree.

The numpy oracle alone cannot be written down byte for byte: numpy's exp and log differ in the last bit
between processors and versions. So every output is computed twice. `exact` evaluates the formulas with
mpmath at 60 and again at 120 digits; both must round to the same float64, and that is what is written.
The oracle must agree with it within the output's own tolerance, for every case, or nothing is written.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mpmath import mp
from numpy.typing import NDArray

from sdtps_ref.golden import stages, vectors
from sdtps_ref.golden.autodiff import plain
from sdtps_ref.golden.draw import Recipe
from sdtps_ref.golden.flags import NOTES
from sdtps_ref.golden.floats import FORMATS, all_exact_in, nearest_float, rounded, spacing, to_hex
from sdtps_ref.golden.stage import CaseSpec, Inputs, Outputs, Stage
from sdtps_ref.golden.vectors import Case, Tolerance, VectorError, VectorFile
from sdtps_ref.output_files import replace_text

DIGITS = (60, 120)
VANISHED = 1e-40  # an entry this small that depends on the digits is a sum that cancels: it is zero
LARGE = 10_000  # entries; only the published size has as many
SAMPLED = 16  # entries that are written of an output given as a digest


def case_of(stage: Stage, sketch: CaseSpec, number: int) -> Case:
    """Compute a sketch's outputs, confirm them, and put them in writing. Raises VectorError."""
    case_id = f"{stage.name}-{number:03}"
    inputs = _carried_out(sketch.inputs)
    large = "Published" in sketch.flags
    values = decided(stage.exact, inputs, DIGITS[:1] if large else DIGITS, case_id)
    tolerances = stage.tolerance(inputs, values)
    formats = [dtype for dtype in sketch.formats if _are_exact_in(inputs, dtype)]
    expected = {
        name: _expected(value, tolerances.get(name), formats, sampled=large and value.size > SAMPLED)
        for name, value in values.items()
    }
    confirm(stage.oracle(inputs), expected, case_id)
    given = vectors.encode_input(sketch.inputs)
    return Case(case_id, sketch.comment, list(sketch.flags), formats, given, expected)


def decided(
    function: Callable[[Inputs], Outputs], inputs: Inputs, digits: tuple[int, ...] = DIGITS, where: str = ""
) -> dict[str, NDArray[Any]]:
    """Every output as ints or correctly rounded float64. Raises VectorError when the digits do not suffice."""
    found = []
    for count in digits:
        with mp.workdps(count):
            found.append({name: _floats(value) for name, value in function(inputs).items()})
    for name, value in found[0].items():
        differ = value != found[-1][name]
        if (np.abs(value[differ]) > VANISHED).any():
            raise VectorError(f"{where} {name} needs more than {digits[0]} digits")
        value[differ] = 0
    return found[0]


def confirm(oracle: Outputs, expected: Mapping[str, Any], where: str) -> None:
    """Raise VectorError unless the oracle agrees with every expected output in float64."""
    for name, output in expected.items():
        value = np.asarray(oracle[name])
        if list(value.shape) != output["shape"]:
            raise VectorError(f"{where} {name}: the oracle has shape {value.shape}, not {output['shape']}")
        wanted, actual = vectors.written(output, "float64"), value.ravel()
        if "positions" in output:
            actual = actual[output["positions"]]
        assert wanted is not None
        limit = vectors.allowed(output, "float64", wanted)
        with np.errstate(invalid="ignore"):
            apart = ~((actual == wanted) | (np.abs(actual - wanted) <= limit))
        if apart.any():
            first = int(apart.argmax())
            raise VectorError(f"{where} {name}[{first}]: the oracle says {actual[first]}, mpmath {wanted[first]}")


def build(name: str) -> str:
    """The text of one stage's file."""
    stage = stages.stage(name)
    cases = [case_of(stage, sketch, number) for number, sketch in enumerate(stage.sketches(), start=1)]
    used = sorted({flag for case in cases for flag in case.flags})
    header = {
        "schema": "sdtps golden vectors",
        "schema_version": vectors.SCHEMA_VERSION,
        "spec_version": vectors.SPEC_VERSION,
        "generator": vectors.GENERATOR,
        "stage": name,
        "title": stage.title,
        "how_to_read": vectors.READING,
        "count": len(cases),
        "notes": {flag: dict(zip(("exists", "catches"), NOTES[flag], strict=True)) for flag in used},
    }
    return vectors.render(header, cases)


def write(folder: Path, names: tuple[str, ...] = stages.NAMES) -> list[Path]:
    """Write the files of the named stages; return those that changed.

    Under one spec version a case that was published keeps its inputs and outputs: raises VectorError
    when one would change or go. Under a new one the old file is first kept in `spec-<old>/`.
    """
    texts = {name: build(name) for name in names}
    changed = {folder / f"{name}.json": text for name, text in texts.items()}
    changed = {path: text for path, text in changed.items() if not path.is_file() or path.read_text() != text}
    old = {path: vectors.read(path) for path in changed if path.is_file()}
    for path, published in old.items():
        _keep_promises(published, changed[path])
    folder.mkdir(parents=True, exist_ok=True)
    for path, published in old.items():
        if published.spec_version != vectors.SPEC_VERSION:
            kept = folder / f"spec-{published.spec_version}" / path.name
            kept.parent.mkdir(exist_ok=True)
            replace_text(kept, path.read_text())
    for path, text in changed.items():
        replace_text(path, text)
    return list(changed)


def _keep_promises(published: VectorFile, text: str) -> None:
    if published.spec_version != vectors.SPEC_VERSION:
        return
    new = {case["id"]: case for case in json.loads(text)["cases"]}
    for case in published.cases:
        now = new.get(case.id)
        if now is None or (now["inputs"], now["expected"]) != (case.inputs, case.expected):
            raise VectorError(
                f"{case.id} would {'go' if now is None else 'change'} under spec version {vectors.SPEC_VERSION}; "
                "raise SPEC_VERSION in golden/vectors.py, and the old set is kept"
            )


def _carried_out(inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return {name: _carried_out(value) for name, value in inputs.items()}
    return inputs.array() if isinstance(inputs, Recipe) else inputs


def _floats(value: Any) -> NDArray[Any]:
    def convert(part: Any) -> Any:
        if isinstance(part, list):
            return [convert(one) for one in part]
        if isinstance(part, int):
            return part
        number = plain(part)
        if not mp.isfinite(number):
            return float(number)
        sign, mantissa, exponent, _ = number._mpf_
        return nearest_float(int(sign), int(mantissa), int(exponent))

    return np.array(convert(value))


def _are_exact_in(inputs: Any, dtype: str) -> bool:
    # tau, scale and epsilon are scalars of the program, not numbers of the format.
    if isinstance(inputs, Mapping):
        return all(_are_exact_in(value, dtype) for value in inputs.values())
    return not isinstance(inputs, np.ndarray) or all_exact_in(inputs, dtype)


def _expected(value: NDArray[Any], tolerance: Tolerance | None, formats: list[str], *, sampled: bool) -> dict[str, Any]:
    output: dict[str, Any] = {"shape": list(value.shape)}
    flat = value.ravel()
    if sampled:
        positions = [(2 * i + 1) * flat.size // (2 * SAMPLED) for i in range(SAMPLED)]
        whole = flat.tolist() if value.dtype == np.int64 else [to_hex(x) for x in flat]
        output |= {"sha256": vectors.digest(whole), "positions": positions}
        flat = flat[positions]
    if value.dtype == np.int64:
        return output | {"integers": flat.tolist()}
    if tolerance is None:
        return output | {"exact": [to_hex(x) for x in flat]}
    for dtype in formats:
        if dtype in tolerance.ulps and _can_tell(value, tolerance, dtype):
            output[dtype] = [to_hex(rounded(float(x), dtype)) for x in flat]
    counts = {dtype: tolerance.ulps[dtype] for dtype in FORMATS if dtype in output}
    return output | {"floor": to_hex(tolerance.floor), "ulps": counts}


def _can_tell(value: NDArray[Any], tolerance: Tolerance, dtype: str) -> bool:
    """Whether a format's allowance refuses what float64's refuses of zeros and of the means along an axis."""

    def accepts(answer: NDArray[Any], dtype: str) -> bool:
        units = [spacing(max(abs(x), tolerance.floor), dtype) for x in value.ravel()]
        return bool((np.abs(value - answer).ravel() <= tolerance.ulps[dtype] * np.array(units)).all())

    if dtype == "float64" or value.size > LARGE or not np.isfinite(value).all():
        return True
    plain_answers = [np.zeros_like(value)]
    for axis in range(value.ndim):
        mean = np.apply_along_axis(lambda row: math.fsum(row) / len(row), axis, value)  # rounded once, on any machine
        plain_answers.append(np.broadcast_to(np.expand_dims(mean, axis), value.shape))
    return not any(accepts(answer, dtype) and not accepts(answer, "float64") for answer in plain_answers)
