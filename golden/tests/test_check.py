"""Holding implementations to the vectors: right ones pass, wrong ones are named with case and entry."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sdtps_ref import decision as reference_decision
from sdtps_ref import selection as reference_selection
from sdtps_ref.__main__ import main
from sdtps_ref.golden import check, stages, vectors
from sdtps_ref.golden.floats import FORMATS
from sdtps_ref.properties.contract import Selection
from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.reference import Reference
from sdtps_ref.properties.selftest.planted.baseline import Plain, SelectionResult
from sdtps_ref.properties.targets.adapters import wrappers

FILES = vectors.read_all(vectors.FOLDER)


def reports(implementation: Any, *names: str) -> dict[str, check.StageReport]:
    """By stage; all stages when none is named."""
    files = [file for file in FILES if not names or file.stage in names]
    return {report.stage: report for report in check.check(implementation, files)}


@pytest.mark.parametrize("mask", [pytest.param("subtract", marks=pytest.mark.slow), "log"])
def test_the_reference_meets_every_vector(mask: Any) -> None:
    """The reference is as written in every stage, with both masks; only what nothing can decide is left out."""
    found = reports(Reference(mask))

    assert [m for report in found.values() for m in report.mismatches] == []
    assert all(report.checked for report in found.values())
    left_out = {reason.split(":")[0] for report in found.values() for reason in report.unchecked}
    assert left_out == {"ties at the boundary", "the score's gradient through a pipeline that draws its own noise"}


def test_an_implementation_with_the_contract_alone_is_checked() -> None:
    """What needs no more than the contract, and parameters of the vectors' shapes, is checked; the rest is said."""
    found = reports(Plain())

    assert [m for report in found.values() for m in report.mismatches] == []
    assert {stage for stage, report in found.items() if report.checked} == {
        "decision",
        "selection",
        "extra_token",
        "gradients",
        "pipeline",
    }
    without = "what aggregator returns has no load_weights, nor parameters of the vectors' shapes"
    assert without in found["aggregation"].unchecked


class ByPosition(Plain):
    """Keeps tokens in the order of their positions."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        """keep_indices, B K."""
        return super().choose(score, noise, keep).sort(dim=-1).values


class LastOfTies(Plain):
    """Of equal scores, keeps the higher position."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        """keep_indices, B K."""
        return torch.sort(score, dim=-1, stable=True).indices[:, -keep:]


class Untold(Plain):
    """Gives tokens and decision, and does not tell the positions."""

    def select(self, *arguments: Any) -> Selection:
        """Two of the five."""
        whole = super().select(*arguments)
        return Selection(whole.selected_tokens.flip(1), whole.decision)


@pytest.mark.parametrize("right", [ByPosition, LastOfTies, Untold])
def test_the_order_of_the_kept_and_the_choice_among_ties_are_free(right: type[Plain]) -> None:
    """Another order, another choice among equal scores, or positions that are not told: all as right."""
    found = reports(right(), "decision", "selection", "extra_token", "gradients")

    assert [m.message for report in found.values() for m in report.mismatches] == []
    assert found["selection"].checked == reports(Plain(), "selection")["selection"].checked


class NoiseInEval(Plain):
    """Draws its noise in eval mode too."""

    def select(self, tokens: Tensor, score: Tensor, keep: int, tau: float, training: bool) -> SelectionResult:
        """As in train mode."""
        return super().select(tokens, score, keep, tau, True)


class HardInEval(Plain):
    """D has no gradient in eval mode."""

    def select(self, tokens: Tensor, score: Tensor, keep: int, tau: float, training: bool) -> SelectionResult:
        """Under no_grad in eval mode."""
        with torch.set_grad_enabled(training):
            return super().select(tokens, score, keep, tau, training)


class Adapts(Plain):
    """Adapted from a module that does not return what it pools."""

    def multimodal(self, **sizes: Any) -> Any:
        """As an adapter looks for it."""
        return wrappers.pooled({}, 4)


@pytest.mark.parametrize(
    ("right", "stage", "reason"),
    [
        (NoiseInEval, "gradients", "noise is drawn in eval mode too, and the vectors have none"),
        (HardInEval, "gradients", "D is hard in eval mode, where no gradient is owed"),
        (Adapts, "multimodal", "pooled tokens of three modalities are not returned here"),
    ],
)
def test_what_cannot_be_compared_is_not_wrong(right: type[Plain], stage: str, reason: str) -> None:
    """Noise or no gradient in eval mode, and what an adapter cannot reach, are said to be unchecked."""
    found = reports(right(), stage)[stage]

    assert not found.mismatches
    assert found.unchecked[reason] > 1


class Pools(nn.Module):
    """The published aggregation, its parameters named and ordered in a way of its own."""

    def __init__(self, dim: int, slots: int, approximate: str):
        super().__init__()
        hidden = int(0.2 * dim)
        self.temper = nn.Parameter(torch.ones(1, 1, 1))
        self.mlp = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(approximate=approximate), nn.Linear(hidden, slots)
        )

    def forward(self, tokens: Tensor, decision: Tensor | None) -> Tensor:
        """B M C, from tokens B K C and D at them, B K."""
        logits = self.mlp(tokens).transpose(1, 2) * self.temper
        if decision is not None:
            logits = logits - (1 - decision.unsqueeze(1)) * 1e10
        return logits.softmax(-1) @ tokens


class Unnamed(Plain):
    """Its aggregator has the vectors' shapes, and no load_weights."""

    approximate = "none"

    def aggregator(self, *, dim: int, slots: int) -> nn.Module:  # type: ignore[override]
        """Of dim C and M slots."""
        return Pools(dim, slots, self.approximate)


class Approximate(Unnamed):
    """As Unnamed, with an approximate GELU."""

    approximate = "tanh"


def test_weights_are_given_by_shape() -> None:
    """What has parameters of the vectors' shapes is held to them without load_weights."""
    right, wrong = (reports(which(), "aggregation")["aggregation"] for which in (Unnamed, Approximate))

    assert not right.mismatches
    assert right.checked > 60
    assert wrong.mismatches


class OneBit(Plain):
    """D is one bit off."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        """D, B N."""
        return super().join(hard, soft) * (1 - torch.finfo(hard.dtype).eps / 2)


class TooMany(Plain):
    """Keeps everything at least as high as the K-th score."""

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        """The hard mask, B N."""
        return (score >= score.gather(-1, indices).amin(-1, keepdim=True)).to(score.dtype)


class NoisyChoice(Plain):
    """Chooses by the noisy score."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        """keep_indices, B K."""
        return torch.topk(score + noise, keep, dim=-1).indices


class NoTau(Plain):
    """Forgets tau."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        """The soft mask, B N."""
        return super().soft(score, noise, 1.0, keep)


class ZeroedScores(Plain):
    """Pools all tokens with the kept ones' scores set to zero."""

    def extra(self, tokens: Tensor, score: Tensor, hard: Tensor) -> Tensor:
        """The extra token, B 1 C."""
        return (score * (1 - hard)).softmax(-1).unsqueeze(1) @ tokens


@pytest.mark.parametrize(
    ("wrong", "stage"),
    [
        (OneBit, "decision"),
        (TooMany, "decision"),
        (NoisyChoice, "decision"),
        (NoTau, "gradients"),
        (ZeroedScores, "extra_token"),
    ],
)
def test_wrong_implementations_are_found(wrong: type[Plain], stage: str) -> None:
    """Each of these mistakes is a mismatch of the stage that it is made in."""
    found = reports(wrong(), stage)[stage]

    assert found.mismatches


def test_ties_are_what_catches_a_threshold() -> None:
    """Keeping all scores as high as the K-th is caught by the vectors with the flag that says so, and by no others."""
    found = reports(TooMany(), "decision")["decision"]

    assert {"Ties"} <= set.intersection(*(set(m.case.flags) for m in found.mismatches))


def test_one_bit_changed_in_the_reference_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """`hard + soft - sg(soft)`, the reference without its brackets, is off by a bit and is found."""
    monkeypatch.setattr(reference_selection, "straight_through", lambda hard, soft: hard + soft - soft.detach())

    found = reports(Reference(), "decision")["decision"]

    assert any("0.9999" in m.message or "1.0000" in m.message or "e-" in m.message for m in found.mismatches)


@pytest.mark.parametrize("name", ["gumbel_noise", "soft_mask"])
def test_a_stage_without_digits_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A float64 stage that passes through float32 is found."""
    right = getattr(Reference, name)

    def wrong(self: Reference, first: Tensor, *rest: Any) -> Tensor:
        narrow = [x.float() if isinstance(x, Tensor) else x for x in rest]
        return right(self, first.float(), *narrow).to(first.dtype)

    monkeypatch.setattr(Reference, name, wrong)
    stage = {"gumbel_noise": "noise"}.get(name, name)

    found = reports(Reference(), stage)[stage]

    assert {m.dtype for m in found.mismatches} == {"float64"}


OUTPUTS = [(case, name) for file in FILES for case in file.cases for name in case.expected]


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
def test_the_allowance_refuses_zeros_and_means(axis: int | None) -> None:
    """In every format the allowed error refuses an answer of zeros or of means, unless it is the answer."""
    refused = dict.fromkeys(FORMATS, 0)

    for case, name in OUTPUTS:
        output = case.expected[name]
        if "positions" in output or "float64" not in output or len(output["shape"]) <= (axis or 0):
            continue
        expected = torch.from_numpy(vectors.written(output, "float64")).reshape(output["shape"])
        if not expected.isfinite().all():
            continue
        wrong = torch.zeros_like(expected)
        if axis is not None:
            wrong = wrong + expected.mean(axis, keepdim=True)
        accepted = {f for f in FORMATS if f in output and check.compare(name, wrong, output, f) is None}
        assert not accepted or "float64" in accepted, f"{case.id} {name} accepts that in {accepted}"
        for dtype in {f for f in FORMATS if f in output} - accepted:
            refused[dtype] += 1

    assert min(refused.values()) > 30, refused


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, r"gumbel_noise\[0\] = nan, but should be finite, of its sign and 4 or more"),
        (math.inf, r"gumbel_noise\[0\] = inf"),
        (-80.0, r"gumbel_noise\[0\] = -80.0"),
        (1.0, r"gumbel_noise\[0\] = 1.0"),
        (80.0, None),
    ],
)
def test_an_infinite_expectation_asks_for_a_finite_answer(value: float, message: str | None) -> None:
    """Where the formula is infinite, any finite number of that sign and 4 or more will do; NaN and inf will not."""
    output = {"shape": [1], "float64": ["inf"], "floor": "0x1p+0", "ulps": {"float64": 4}}

    found = check.compare("gumbel_noise", torch.tensor([value], dtype=torch.float64), output, "float64")

    assert (found is None) == (message is None)
    if message:
        assert found is not None
        assert re.match(message, found)


def test_the_published_size_is_compared_by_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exact output given as a digest is compared whole: one entry between the samples is enough to be refused."""
    case = next(case for file in FILES for case in file.cases if "Published" in case.flags)
    output = case.expected["decision"]
    inputs = vectors.decode_input(case.inputs)
    score = torch.from_numpy(inputs["score"])
    right = reference_decision.hard_mask(score, reference_decision.keep_indices(score, inputs["keep"]))
    wrong = right.clone()
    wrong.view(-1)[output["positions"][0] + 1] += 1

    assert check.compare("decision", right, output, "float64") is None
    assert "sha256" in str(check.compare("decision", wrong, output, "float64"))


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["check", "--stage", "noise"], 0, "as written"),
        (["check", "--stage", "decision", "TARGET"], 1, "decision-001 float64 (an ordinary selection)"),
        (["check", "no.such:thing"], 2, "could not be imported"),
        (
            ["check", "--stage", "noise", "sdtps_ref.properties.selftest.planted.baseline:Plain"],
            2,
            "nothing could be checked",
        ),
        (["check", "--vectors", "/no/such/folder"], 2, "accepted: a folder of vector files"),
        (["generate", "--stage", "noise"], 0, "nothing changed"),
        (["diff", str(vectors.FOLDER), str(vectors.FOLDER)], 0, "no difference"),
    ],
)
def test_exit_statuses(
    arguments: list[str], status: int, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """0 as written, 1 a mismatch, 2 could not run, with a line that says why."""
    target = tmp_path / "wrong_decisions.py"
    target.write_text("from golden.tests.test_check import OneBit\n")
    given = [f"{target}:OneBit" if argument == "TARGET" else argument for argument in arguments]

    found = main(["golden", *given])

    output = capsys.readouterr()
    assert (found, says in output.out + output.err) == (status, True), output


def test_every_stage_has_a_door() -> None:
    """No stage is left to be reported as unknown."""
    from sdtps_ref.golden.extractors import DOORS

    assert set(DOORS) == set(stages.NAMES)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([1.0, -2.0], None),
        ([1.0 + 4 * 2.0**-52, -2.0], None),
        ([1.0 + 5 * 2.0**-52, -2.0], "x[0] = 1.000000000000001, but should be 1.0 (1 of 2 entries; 4 units"),
        ([1.0, math.nan], "x[1] = nan, but should be -2.0"),
        ([1.0, 2.0], "x[1] = 2.0, but should be -2.0"),
        ([1.0], "x has shape [1], but should have [2]"),
    ],
)
def test_an_answer_is_right_up_to_its_allowance(answer: list[float], message: str | None) -> None:
    """Four units are allowed and five are not, NaN equals nothing, and a shape is not broadcast."""
    output = {"shape": [2], "float64": ["0x1p+0", "-0x1p+1"], "floor": "0x1p+0", "ulps": {"float64": 4}}

    found = check.compare("x", torch.tensor(answer, dtype=torch.float64), output, "float64")

    assert (found is None) == (message is None)
    assert found is None or (message is not None and found.startswith(message))


@pytest.mark.parametrize("raised", [ValueError("boom"), NotImplementedError("not yet"), Unsupported("let me off")])
def test_an_implementation_that_raises_is_a_mismatch_or_unchecked(raised: Exception) -> None:
    """What raises when it is called is wrong, in one line; a factory that is not implemented is not checked.

    Only an adapter of this project can say that something is not supported.
    """

    class Raises(Plain):
        def selector(self, **sizes: Any) -> Any:
            raise raised

    found = reports(Raises(), "decision")["decision"]

    if isinstance(raised, NotImplementedError):
        assert not found.mismatches and "selector is not implemented" in found.unchecked
    else:
        assert {m.message for m in found.mismatches} == {f"raised {type(raised).__name__}: {raised}"}
