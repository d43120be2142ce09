"""README's table of environments is made of their certificates."""

from dataclasses import replace
from pathlib import Path

import pytest

from properties.maintenance.compatibility import BEGIN, END, main
from sdtps_ref.properties import check_implementation
from sdtps_ref.properties.reports.record import record
from sdtps_ref.properties.selftest.planted.baseline import Plain


def test_the_table_is_renewed_in_a_readme(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Between its markers, and nowhere else; a text without them is refused in one line."""
    found = check_implementation(Plain(), laws=["shape"], isolated=False)
    paths = [tmp_path / f"{torch}.json" for torch in ("2.4.1", "2.13.0")]
    for path in paths:
        path.write_text(record(replace(found, environment=found.environment | {"torch": path.stem})))
    readme, bare = tmp_path / "README.md", tmp_path / "bare.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    bare.write_text("nothing\n")

    renewed = main([str(readme), *map(str, paths)])
    refused = main([str(bare), *map(str, paths)])

    assert (renewed, refused) == (0, 2)
    assert "in 2 environments" in readme.read_text()
    assert "old" not in readme.read_text()
    assert readme.read_text().startswith("before\n") and readme.read_text().endswith("after\n")
    assert "a text without the markers" in capsys.readouterr().err
