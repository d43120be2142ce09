"""What `sdtps golden diff` says."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdtps_ref.__main__ import main
from sdtps_ref.golden import vectors


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda case: case["expected"]["gumbel_noise"]["float64"].__setitem__(0, "0x1.0000000000003p+1"),
            "noise-001: gumbel_noise float64: 1 of 14 entries moved, by",
        ),
        (lambda case: case["inputs"]["uniform"]["values"].reverse(), "noise-001: the input uniform changed"),
        (lambda case: case.__setitem__("comment", "other"), "noise-001: comment was"),
        (lambda case: case.__setitem__("id", "noise-999"), "noise-999: the case is new"),
    ],
)
def test_a_change_is_named_by_case(
    change: Callable[[Any], None], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever changed in one case is a line that begins with the case's id, and the exit status is 1."""
    shutil.copy(vectors.FOLDER / "noise.json", tmp_path / "noise.json")
    old = tmp_path / "old"
    old.mkdir()
    shutil.copy(vectors.FOLDER / "noise.json", old / "noise.json")
    content = json.loads((tmp_path / "noise.json").read_text())
    change(content["cases"][0])
    (tmp_path / "noise.json").write_text(json.dumps(content))

    status = main(["golden", "diff", str(old), str(tmp_path)])

    assert (status, says in capsys.readouterr().out) == (1, True)


def test_a_move_is_measured_in_units_in_the_last_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three units from 1.0 are three units, and the entry is shown before and after."""
    for name, value in (("old", "0x1p+0"), ("new", "0x1.0000000000003p+0")):
        content = json.loads((vectors.FOLDER / "noise.json").read_text())
        content["cases"][0]["expected"]["gumbel_noise"]["float64"][5] = value
        (tmp_path / name).mkdir()
        (tmp_path / name / "noise.json").write_text(json.dumps(content))

    main(["golden", "diff", str(tmp_path / "old"), str(tmp_path / "new")])

    assert capsys.readouterr().out == (
        "noise-001: gumbel_noise float64: 1 of 14 entries moved, by 3 units in the last place at most: "
        "[5] was 0x1p+0, is 0x1.0000000000003p+0\n1 differences\n"
    )
