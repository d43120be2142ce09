"""A scratch project outside this tree: command line, pytest and Python come to one verdict, law by law."""

import json

import pytest

from sdtps_ref.__main__ import main
from sdtps_ref.properties import check_implementation
from sdtps_ref.properties.targets.target import load

pytest_plugins = ["pytester"]

PROJECT = '''
"""Somebody's own code: nothing of sdtps is imported."""

from types import SimpleNamespace

import torch
from torch import nn


class Selector(nn.Module):
    def __init__(self, keep, tau):
        super().__init__()
        self.keep, self.tau = keep, tau

    def join(self, hard, soft):
        return hard + (soft - soft.detach())

    def forward(self, tokens, score):
        wide = torch.promote_types(score.dtype, torch.float32)
        uniform = torch.rand(score.shape, dtype=wide, device=score.device).clamp(1e-30, 1 - 1e-7)
        noise = -torch.log(-torch.log(uniform)) if self.training else torch.zeros_like(uniform)
        soft = ((score + noise.to(score.dtype)) / self.tau).softmax(-1)
        indices = score.topk(self.keep).indices
        hard = (indices.unsqueeze(-1) == torch.arange(score.shape[-1], device=score.device)).any(-2).to(score.dtype)
        decision = self.join(hard, soft)
        kept = indices.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])
        return SimpleNamespace(
            selected_tokens=tokens.gather(1, kept), decision=decision, keep_indices=indices,
            selected_decision=decision.gather(-1, indices), extra_token=None,
        )


class WithoutParentheses(Selector):
    def join(self, hard, soft):
        return hard + soft - soft.detach()


class Right:
    made = Selector

    def selector(self, *, dim, num_tokens, keep, tau):
        return self.made(keep, tau)


class Wrong(Right):
    made = WithoutParentheses
'''

EXIT = {"certified": pytest.ExitCode.OK, "refused": pytest.ExitCode.TESTS_FAILED}


@pytest.mark.parametrize(("attribute", "verdict"), [("Right", "certified"), ("Wrong", "refused")])
@pytest.mark.slow
def test_three_doors_one_verdict(pytester: pytest.Pytester, attribute: str, verdict: str) -> None:
    """Of a right and a wrong selector, each door says the same of every law that was asked for."""
    pytester.makepyfile(project=PROJECT)
    target, laws = f"project.py:{attribute}", ["decision.forward_is_hard", "errors.nan_scores"]

    status = main(
        [
            "certify",
            target,
            *(part for law in laws for part in ("--law", law)),
            "--json",
            "certificate.json",
            "--in-process",
        ]
    )
    by_command = json.loads((pytester.path / "certificate.json").read_text())
    by_python = check_implementation(load(target), laws=laws, isolated=False)
    ids = [f"sdtps::{target}::{result.id}" for result in by_python.laws]
    by_pytest = pytester.inline_run(
        "-p", "sdtps_ref.properties.pytest_plugin.plugin", "-p", "no:cacheprovider", "--sdtps-target", target, *ids
    )

    failed = {result.id for result in by_python.laws if result.refuses}
    assert by_command["verdict"] == by_python.verdict == verdict
    assert (status, by_pytest.ret) == (by_python.exit_status, EXIT[verdict])
    assert {law["id"]: law["status"] for law in by_command["laws"]} == {law.id: law.status for law in by_python.laws}
    assert {report.nodeid.rpartition("::")[2] for report in by_pytest.listoutcomes()[2]} == failed
    assert bool(failed) == (verdict == "refused")
