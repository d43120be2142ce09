"""The GitHub Action's own step, run as a runner does it, on a file that is right and on one that cannot be judged."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
ACTION = CHECKOUT / ".github" / "actions" / "certify"
PICK = """
import torch
from torch import nn

class Pick(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.rate = nn.Linear(dim, 1)

    def forward(self, tokens):
        score = self.rate(tokens).squeeze(-1)
        soft = score.softmax(-1)
        hard = torch.zeros_like(score).scatter(-1, score.topk(6).indices, 1.0)
        return (hard + (soft - soft.detach())).unsqueeze(-1) * tokens
"""


@pytest.mark.parametrize(
    ("text", "status", "verdict"),
    [
        (PICK, 0, "certified"),
        pytest.param(PICK.replace("(hard + (soft - soft.detach()))", "hard"), 1, "refused", marks=pytest.mark.slow),
        pytest.param("x = 1\n", 2, "error", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_the_action_certifies(tmp_path: Path, text: str, status: int, verdict: str) -> None:
    """Its status is that of `sdtps certify`; verdict, summary and SARIF are where the next steps look for them."""
    (tmp_path / "theirs.py").write_text(text)
    (tmp_path / "sdtps").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sdtps_ref "$@"\n')
    (tmp_path / "sdtps").chmod(0o755)
    files = {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    inputs = {"TARGET": "theirs.py", "PROFILE": "quick", "REQUIRE": "training", "REPORTS": "reports"}
    environment = os.environ | inputs | files | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    done = subprocess.run(
        ["bash", str(ACTION / "certify.sh")], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )

    outputs = Path(files["GITHUB_OUTPUT"]).read_text()
    assert done.returncode == status, done.stdout + done.stderr
    assert f"verdict={verdict}\n" in outputs
    assert ("sarif=reports/certificate.sarif\n" in outputs) == (status < 2)
    assert (tmp_path / "reports" / "certificate.sarif").is_file() == (status < 2)
    assert Path(files["GITHUB_STEP_SUMMARY"]).is_file() == (status < 2)
    assert ("::error title=sdtps" in done.stdout) == (status == 1)


def test_the_action_hands_over_what_its_step_reads() -> None:
    """Every variable that the script takes from outside is an input of the action, or the runner's own."""
    script, action = (ACTION / "certify.sh").read_text(), (ACTION / "action.yml").read_text()

    read = set(re.findall(r"\$\{?([A-Z_]+)", script))
    assert read - {"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} == set(
        re.findall(r"^        ([A-Z]+): \$\{\{ inputs", action[action.index("- name: Certify") :], re.MULTILINE)
    )
