"""What a vector file holds, how it is written and how it is read."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdtps_ref.errors import SDTPSError
from sdtps_ref.golden.draw import Recipe
from sdtps_ref.golden.floats import from_hex, spacing, to_hex
from sdtps_ref.visible import visible

SCHEMA_VERSION = 1
SPEC_VERSION = 1  # raise it to change an expectation; `generate` keeps the old set beside the new one
GENERATOR = {"name": "sdtps golden generate", "version": "1"}
FOLDER = Path(__file__).resolve().parent / "data"
SCHEMA = Path(__file__).resolve().parent / "schema.json"
READING = (
    "Floats are C99 hex floats. A tensor is its shape and its values in row-major order; an input too large to write "
    "is a recipe for SplitMix64 (golden/draw.py). An output is `exact` or `integers` (equal to the last bit), or one "
    "list a float format: the correctly rounded float64 of the formula at 60 digits, and that rounded to float32 and "
    "bfloat16. It is met when |actual - expected| <= ulps[format] * the format's spacing at max(|expected|, floor). "
    "An expected infinity asks for a finite number of that sign, 4 or more in magnitude. `formats` are those a case "
    "is for: all of whose inputs are numbers of the format. An output lacks a format whose rounding allows any "
    "answer. A `sha256` is over the values as written here, joined by newlines; `positions` are the flat positions of"
    " the entries that are written out. `gumbel_noise` and `uniform` of null mean no noise (eval mode). Weights are "
    "laid out as in torch.nn.Linear."
)


class VectorError(SDTPSError):
    """A vector file could not be read or written; the message is one line."""


@dataclass(frozen=True)
class Tolerance:
    """The allowed error of an output: units in the last place, by format, at max(|expected|, floor)."""

    floor: float
    ulps: Mapping[str, int]


@dataclass(frozen=True)
class Case:
    """One vector as it lies in the file."""

    id: str
    comment: str
    flags: list[str]
    formats: list[str]
    inputs: dict[str, Any]
    expected: dict[str, Any]


@dataclass(frozen=True)
class VectorFile:
    """One stage's vectors as they lie in the file."""

    stage: str
    spec_version: int
    header: dict[str, Any]
    cases: list[Case]


def encode_input(value: Any) -> Any:
    """An input as JSON: arrays, recipes, numbers, and mappings of them."""
    if isinstance(value, Mapping):
        return {name: encode_input(part) for name, part in value.items()}
    if isinstance(value, Recipe):
        recipe = {"seed": value.seed, "low": value.low, "high": value.high, "step": to_hex(value.step)}
        return {"shape": list(value.shape), "recipe": recipe}
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "values": [to_hex(x) for x in value.ravel()]}
    return to_hex(value) if isinstance(value, float) else value


def decode_input(value: Any) -> Any:
    """The inverse of `encode_input`, with recipes carried out."""
    if isinstance(value, str):
        return from_hex(value)
    if not isinstance(value, dict):
        return value
    if set(value) == {"shape", "values"}:
        return np.array([from_hex(x) for x in value["values"]], dtype=np.float64).reshape(value["shape"])
    if set(value) == {"shape", "recipe"}:
        recipe = value["recipe"] | {"step": from_hex(value["recipe"]["step"])}
        return Recipe(shape=tuple(value["shape"]), **recipe).array()
    return {name: decode_input(part) for name, part in value.items()}


def written(output: Mapping[str, Any], dtype: str) -> NDArray[Any] | None:
    """The written entries of an expected output, flat: int64 or float64 values. None where `dtype` is left out."""
    if "integers" in output:
        return np.array(output["integers"], dtype=np.int64)
    values = output.get("exact", output.get(dtype))
    return None if values is None else np.array([from_hex(x) for x in values], dtype=np.float64)


def allowed(output: Mapping[str, Any], dtype: str, expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest error of every written entry."""
    if "ulps" not in output:
        return np.zeros(expected.shape)
    floor, ulps = from_hex(output["floor"]), output["ulps"][dtype]
    at = [max(abs(x), floor) if np.isfinite(x) else floor for x in expected]
    return ulps * np.array([spacing(x, dtype) for x in at])


def digest(values: list[Any]) -> str:
    """sha256 over the written values, joined by newlines."""
    return hashlib.sha256("\n".join(map(str, values)).encode()).hexdigest()


def render(header: dict[str, Any], cases: list[Case]) -> str:
    """The file's text: the header spread out to be read, a line for every input and output of a case."""
    head = json.dumps(header, indent=2)[: -len("\n}")]
    return head + ',\n  "cases": [\n' + ",\n".join(map(_render_case, cases)) + "\n  ]\n}\n"


def _render_case(case: Case) -> str:
    lines = [f'      "{name}": {json.dumps(getattr(case, name))},' for name in ("id", "comment", "flags", "formats")]
    for group in ("inputs", "expected"):
        items = getattr(case, group).items()
        body = ",\n".join(f"        {json.dumps(name)}: {json.dumps(value)}" for name, value in items)
        lines.append(f'      "{group}": {{\n{body}\n      }}' + ("," if group == "inputs" else ""))
    return "    {\n" + "\n".join(lines) + "\n    }"


def read(path: Path) -> VectorFile:
    """A vector file. Raises VectorError when it is none, or of a schema this version does not know."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise VectorError(
                f"{path} has schema_version {visible(repr(content['schema_version']))}; accepted: {SCHEMA_VERSION}"
            )
        cases = [Case(**case) for case in content.pop("cases")]
        if not all(isinstance(part, dict) for case in cases for part in (case.inputs, case.expected)):
            raise TypeError("inputs and expected are objects")
        if content["count"] != len(cases):
            raise VectorError(f"{path} counts {visible(repr(content['count']))} cases, but holds {len(cases)}")
        return VectorFile(content["stage"], content["spec_version"], content, cases)
    except OSError as error:
        raise VectorError(f"{path} could not be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise VectorError(f"{path} is not a vector file: {type(error).__name__} {visible(str(error))}") from error


def read_all(folder: Path) -> list[VectorFile]:
    """Every vector file of a folder, by name. Raises VectorError when there is none."""
    files = [read(path) for path in sorted(folder.glob("*.json"))]
    if not files:
        raise VectorError(f"given {folder}; accepted: a folder of vector files (*.json)")
    return files
