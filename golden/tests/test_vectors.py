"""The files themselves: their form, their promises, and that they are what the generator writes."""

import json
from collections import Counter
from pathlib import Path

import jsonschema
import pytest

from sdtps_ref.golden import generate, stages, vectors
from sdtps_ref.golden.draw import Draw
from sdtps_ref.golden.flags import NOTES
from sdtps_ref.golden.floats import FORMATS

FILES = {name: vectors.FOLDER / f"{name}.json" for name in stages.NAMES}
every_file = pytest.mark.parametrize("name", stages.NAMES)
SCHEMA = json.loads(vectors.SCHEMA.read_text())


def flip_last_bit(text: str) -> str:
    """The hex float one bit away."""
    value = vectors.from_hex(text)
    digits = value.hex()
    at = digits.index("p") - 1
    return vectors.to_hex(float.fromhex(digits[:at] + f"{int(digits[at], 16) ^ 1:x}" + digits[at + 1 :]))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "pipeline" else ()) for name in stages.NAMES]
)
def test_files_are_what_the_generator_writes(name: str) -> None:
    """Generated again, every file is the same to the last byte: no library's random stream or rounding is in it."""
    text = generate.build(name)

    assert text == FILES[name].read_text(encoding="utf-8")


@every_file
def test_one_bit_changed_in_a_vector_is_seen(name: str) -> None:
    """One bit of one expected float, flipped, and the file is no longer what the generator writes."""
    text = FILES[name].read_text(encoding="utf-8")
    file = vectors.read(FILES[name])
    header = file.header
    assert vectors.render(header, file.cases) == text
    output = next(part for part in file.cases[0].expected.values() if "integers" not in part)
    floats = output.get("float64", output.get("exact"))
    floats[0] = flip_last_bit(floats[0])

    tampered = vectors.render(header, file.cases)

    assert tampered != text
    assert json.loads(tampered)["count"] == len(file.cases)


def test_schema_is_a_schema() -> None:
    """`schema.json` is valid against the draft it names, and closes every object that it describes by name."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def objects(part: object) -> list[dict]:
        inner = (
            [o for v in (part.values() if isinstance(part, dict) else part) for o in objects(v)]
            if isinstance(part, (dict, list))
            else []
        )
        return inner + ([part] if isinstance(part, dict) and "properties" in part and "type" in part else [])

    described = [part for part in objects(SCHEMA) if part.get("type") == "object"]
    assert len(described) >= 7
    assert all("additionalProperties" in part for part in described)
    assert all(part["additionalProperties"] is False for part in described if part.get("required"))


@every_file
def test_files_fit_the_schema(name: str) -> None:
    """Every file is of the form that `schema.json` publishes."""
    content = json.loads(FILES[name].read_text())

    jsonschema.Draft202012Validator(SCHEMA).validate(content)

    assert content["stage"] == name


@pytest.mark.parametrize("where", ["", "cases.0", "cases.0.expected.decision", "generator", "notes.Ordinary"])
def test_schema_refuses_what_it_does_not_name(where: str) -> None:
    """A field that the schema does not know is an error, wherever it stands."""
    content = json.loads(FILES["decision"].read_text())
    part = content
    for step in filter(None, where.split(".")):
        part = part[int(step)] if isinstance(part, list) else part[step]
    part["surprise"] = 1

    errors = list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(content))

    assert errors


def test_counts_ids_and_flags() -> None:
    """300 cases or more with ids of their own, the count that each file names, and a note on every flag."""
    files = vectors.read_all(vectors.FOLDER)
    ids = Counter(case.id for file in files for case in file.cases)
    flags = {flag for file in files for case in file.cases for flag in case.flags}

    assert [file.stage for file in files] == sorted(stages.NAMES)
    assert sum(ids.values()) >= 300
    assert set(ids.values()) == {1}
    assert all(case.id.startswith(f"{file.stage}-") for file in files for case in file.cases)
    assert all(set(file.header["notes"]) == {f for case in file.cases for f in case.flags} for file in files)
    assert flags == set(NOTES), "a note without a case, or a case without a note"


def test_every_format_is_expected_somewhere_in_every_rounded_stage() -> None:
    """float64, float32 and bfloat16 each have expectations of their own; scoring and modalities are for two."""
    found = {
        file.stage: {f for case in file.cases for part in case.expected.values() for f in FORMATS if f in part}
        for file in vectors.read_all(vectors.FOLDER)
    }

    rounded = {stage: formats for stage, formats in found.items() if formats}

    assert set(rounded) == set(stages.NAMES) - {"decision", "selection"}
    two = {"scoring", "multimodal"}
    assert {stage for stage, formats in rounded.items() if formats == {"float64", "float32"}} == two
    assert all(formats == set(FORMATS) for stage, formats in rounded.items() if stage not in two)


def test_the_generator_of_inputs_is_splitmix64() -> None:
    """Its first numbers from seed 1234567 are those published for SplitMix64, so that anyone can draw the inputs."""
    draw = Draw(1234567)

    drawn = [draw.bits() for _ in range(3)]

    assert drawn == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_an_expectation_does_not_change_under_one_spec_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`generate` refuses to change a published case; under a new spec version it does, and keeps the old file."""
    content = json.loads(FILES["noise"].read_text())
    floats = content["cases"][0]["expected"]["gumbel_noise"]["float64"]
    floats[0] = flip_last_bit(floats[0])
    cases = [vectors.Case(**case) for case in content.pop("cases")]
    published = vectors.render(content, cases)
    (tmp_path / "noise.json").write_text(published)

    with pytest.raises(vectors.VectorError, match=r"noise-001 would change under spec version 1; raise SPEC_VERSION"):
        generate.write(tmp_path, ("noise",))
    assert (tmp_path / "noise.json").read_text() == published

    monkeypatch.setattr(vectors, "SPEC_VERSION", 2)
    generate.write(tmp_path, ("noise",))

    assert vectors.read(tmp_path / "noise.json").spec_version == 2
    assert (tmp_path / "spec-1" / "noise.json").read_text() == published
    assert vectors.read_all(tmp_path / "spec-1")[0].spec_version == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a vector file"),
        ('{"schema_version": 99}', "has schema_version 99; accepted: 1"),
        ('{"schema_version": 1, "count": 2, "cases": []}', "counts 2 cases, but holds 0"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    """What is no vector file is refused in one line that names the file."""
    path = tmp_path / "broken.json"
    path.write_text(text)

    with pytest.raises(vectors.VectorError, match=message):
        vectors.read(path)
