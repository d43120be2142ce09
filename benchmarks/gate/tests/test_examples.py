"""The gate on somebody's own call: FILE.py:example on either side."""

from pathlib import Path

import pytest

from sdtps_ref.__main__ import main
from sdtps_ref.benchmarks.gate.measuring.cells import CellOptions, chosen
from sdtps_ref.benchmarks.gate.measuring.equivalence import Different, check_same
from sdtps_ref.benchmarks.gate.measuring.isolated_import import Copy
from sdtps_ref.benchmarks.gate.measuring.revisions import Operand
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.benchmarks.workloads.workloads import make
from sdtps_ref.properties.targets.target import load

PICK = """
import torch
from torch import nn


class Pick(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.read = nn.Linear(8, 1), nn.Linear(8, 3)

    def forward(self, tokens, *, keep=4):
        score = self.score(tokens).squeeze(-1)
        soft = score.softmax(-1)
        index = score.topk(keep, dim=1).indices
        decision = torch.zeros_like(soft).scatter(1, index, 1.0) + (soft - soft.detach())
        kept = tokens.gather(1, index.unsqueeze(-1).expand(-1, -1, 8))
        weight = self.read(kept).mT + decision.gather(1, index).log().unsqueeze(1)
        return {"pooled": weight.softmax(-1) @ kept, "decision": decision}


def example():
    return Pick(), (torch.randn(2, 9, 8),), {"keep": 4}
"""
AS_FAST = ("weight.softmax(-1) @ kept", "torch.bmm(weight.softmax(-1), kept)")
ANOTHER = ("weight.softmax(-1) @ kept", "1.01 * weight.softmax(-1) @ kept")


def copy_of(folder: Path, name: str, change: tuple[str, str] = ("", "")) -> Copy:
    """The example, changed, as the gate loads it."""
    file = folder / name
    file.write_text(PICK.replace(*change) if change[0] else PICK)
    target = f"{file}:example"
    return Copy(Operand(target, target, "", None), load(target))


@pytest.fixture
def base(tmp_path: Path) -> Copy:
    """As it is."""
    return copy_of(tmp_path, "base.py")


def cells(base: Copy, head: Copy) -> tuple[Cell, ...]:
    """What the gate compares of the two."""
    return chosen(base.implementation, head.implementation, CellOptions())


def test_calls_are_compared(base: Copy, tmp_path: Path) -> None:
    """In the modes of a stage, at the example's size; another order of the same sums is the same answer."""
    head = copy_of(tmp_path, "head.py", AS_FAST)

    found = cells(base, head)
    assert [str(cell) for cell in found] == ["call forward its own size", "call forward+backward its own size"]
    for cell in found:
        check_same(cell, base, head)


def test_other_answers_are_refused(base: Copy, tmp_path: Path) -> None:
    """By the result that differs."""
    head = copy_of(tmp_path, "head.py", ANOTHER)

    with pytest.raises(Different, match=r"call forward its own size: HEAD's result 1 is .* away"):
        check_same(cells(base, head)[0], base, head)


@pytest.mark.parametrize("mode", ["forward", "backward", "forward+backward"])
def test_a_call_is_work_for_any_number_of_times(base: Copy, mode: str) -> None:
    """On inputs that rotate, and leaves nothing in the gradients."""
    cell = cells(base, base)[0]
    workload = make(base.implementation, cell.stage, cell.size, cell.dtype, cell.device)

    for call in workload.calls(mode) * 2:
        call()
    assert len(workload.inputs) == 2
    assert len(workload.parameters) == 4
    assert all(parameter.grad is None for parameter in workload.parameters)


def test_a_stage_and_a_call_are_not_compared(base: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    """An example offers no stage, and counts are of stages: exit 2, in one line."""
    target = base.operand.target

    assert main(["gate", target, "sdtps_ref.properties.reference:log_mask"]) == 2
    assert "or an example of both" in capsys.readouterr().err
    assert main(["gate", "counts", target]) == 2
    assert "given an example" in capsys.readouterr().err
