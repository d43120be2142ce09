"""The gate without a clock: exact, held to what was stored, and silent about what it cannot compare."""

import json
from pathlib import Path

import pytest
import torch

from sdtps_ref.__main__ import main
from sdtps_ref.benchmarks.gate import baselines, op_counts_report
from sdtps_ref.benchmarks.gate.measuring.revisions import DEFAULT_IMPLEMENTATION
from sdtps_ref.benchmarks.gate.op_counts import Counted, counted, kernel_count
from sdtps_ref.benchmarks.gate.op_counts_report import STORE
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.benchmarks.workloads.sizes import Size
from sdtps_ref.properties.reference import log_mask

TINY = Size(2, 16, 8, 64, 3)
CELL = Cell("pipeline", TINY, "forward+backward")
COUNTED = Counted({"aten::mm": 2, "aten::add": 1}, 5, 1000, 500, 100)


def test_counts_are_the_same_every_time() -> None:
    """Twice the same, with bytes above the least that any implementation moves."""
    one, other = (counted(log_mask(), CELL, kernels=False) for _ in range(2))

    assert one == other
    assert one.excess > 1
    assert one.peak_bytes > 0
    assert "aten::topk" in one.operators


@pytest.mark.slow
def test_kernels_of_the_compiled_graph_are_counted() -> None:
    """What fuses is one; a product more is one more."""
    x = torch.randn(8, 8)

    def fused() -> torch.Tensor:
        return (x + 1).sin().exp()

    def longer() -> torch.Tensor:
        return ((x + 1).sin().exp() @ x).cos()

    counts = [kernel_count(torch.compile(call)) for call in (fused, longer)]

    few, many = counts
    if few is None or many is None:
        pytest.skip("torch.compile makes nothing here: it finds no C++ compiler")
    assert (few, many) == (1, 3)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"operators": {"aten::mm": 3, "aten::add": 1}}, "operators 3 -> 4 (aten::mm +1)"),
        ({"kernels": 6}, "kernels 5 -> 6"),
        ({"bytes": 1001}, "bytes 1000 -> 1001"),
        ({"peak_bytes": 101}, "peak bytes 100 -> 101"),
    ],
)
def test_one_more_of_anything_is_seen(change: dict[str, object], line: str) -> None:
    """Exact: an operator, a kernel, a byte; and one less is no complaint."""
    before = COUNTED.to_json()
    changed = Counted(**before | change)

    assert [line] == baselines.worse(changed, before)
    assert baselines.better(changed, before) == []
    assert baselines.worse(COUNTED, changed.to_json()) == []
    assert baselines.worse(COUNTED, before) + baselines.better(COUNTED, before) == []


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store, and counting without a compiler."""
    monkeypatch.setattr(op_counts_report, "counted", lambda made, cell: counted(made, cell, kernels=False))
    return tmp_path / "counts.json"


def test_the_command_stores_compares_and_complains(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing stored 3, stored 0, as stored 0, less stored than there is 1; another torch is 3 again."""
    asked = ["counts", "--stage", "aggregation", "--size", str(TINY), "--store", str(store)]

    statuses = [main(["gate", *asked]), main(["gate", *asked, "--update"]), main(["gate", *asked])]
    known = json.loads(store.read_text())
    (releases,) = known.values()
    cells = releases[baselines.releases_here()]
    for counts in cells.values():
        counts["bytes"] -= 1
    store.write_text(json.dumps(known))
    statuses.append(main(["gate", *asked]))
    releases["torch 0.0.1"] = releases.pop(baselines.releases_here())
    store.write_text(json.dumps(known))
    statuses.append(main(["gate", *asked]))

    assert statuses == [3, 0, 0, 1, 3]
    assert f"for {baselines.releases_here()} (but for torch 0.0.1)" in capsys.readouterr().out.replace("\n", " ")


def test_the_reference_counts_as_stored() -> None:
    """The file in this package is what `sdtps gate counts --update` would write, for releases that it knows."""
    known = baselines.read(STORE)[DEFAULT_IMPLEMENTATION].get(baselines.releases_here())
    if known is None:
        pytest.skip(f"no counts are stored for {baselines.releases_here()}")
    cell = Cell("aggregation", Size(4, 128, 64, 512, 25), "forward")

    seen = counted(log_mask(), cell, kernels=False)

    assert baselines.worse(seen, known[str(cell)]) + baselines.better(seen, known[str(cell)]) == []
