"""A call of somebody's own module: timed at its own sizes where it is right, and beside no reference."""

import json
from pathlib import Path

import pytest

from sdtps_ref.__main__ import main
from sdtps_ref.properties.selftest import strangers

FOLDER = Path(strangers.__file__).parent


def test_a_right_call_is_timed_in_every_mode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Forward and backward, with what they did; the stages of the reference are none of its business."""
    file = tmp_path / "bench.json"

    status = main(["bench", f"{FOLDER / 'gathered_crumbs.py'}:example", "--samples", "3", "--json", str(file)])

    printed = capsys.readouterr().out
    rows = json.loads(file.read_text())["calls"]
    assert status == 0
    assert "Crumbs called with [3, 14, 16], cpu" in printed and "reference" not in printed
    assert [row["mode"] for row in rows] == ["forward", "backward", "forward+backward"]
    assert all(row["seconds"] > 0 and row["peak_bytes"] > 0 for row in rows)
    assert rows[0]["operators"] + rows[1]["operators"] == rows[2]["operators"]


def test_a_wrong_call_has_no_speed(capsys: pytest.CaptureFixture[str]) -> None:
    """It says which law it broke."""
    status = main(["bench", f"{FOLDER / 'shelf_reader.py'}:example", "--samples", "3"])

    printed = capsys.readouterr().out
    assert status == 1
    assert "refused by call.raised_decision_raises_its_logit" in printed and "ms" not in printed


def test_a_page_of_a_call_alone_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its plots are of stages."""
    status = main(["bench", f"{FOLDER / 'gathered_crumbs.py'}:example", "--html", str(tmp_path / "page.html")])

    assert status == 2
    assert "given --html for a call alone; accepted: --json" in capsys.readouterr().err
