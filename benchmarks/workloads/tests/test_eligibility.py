"""Nothing wrong is timed: by law, at the size, in the dtype, and when compiled."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sdtps_ref.benchmarks.workloads import numerics
from sdtps_ref.benchmarks.workloads.eligibility import Admissions
from sdtps_ref.benchmarks.workloads.implementations import Subject, bundled
from sdtps_ref.benchmarks.workloads.sizes import EVERYDAY, Size
from sdtps_ref.benchmarks.workloads.workloads import DTYPES, STAGES
from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.engine.certify import check_implementation
from sdtps_ref.properties.selftest.planted.baseline import Plain

SMALL = Size(B=3, N=16, K=8, C=8, M=3)


def by_a_few_laws(implementation: Any, target: str | None, device: str, laws: list[str] | None) -> Certificate:
    """A certificate in a second, where quick takes ten."""
    few = ["gradient.reaches_score", "noise.is_absent_in_eval"]
    asked = few if laws is None else laws
    return check_implementation(implementation, laws=asked, device=device, reproduce=False, isolated=False)


@pytest.fixture
def admissions() -> Admissions:
    """Whose certificates rest on a few laws."""
    return Admissions(by_a_few_laws)


class SoftAt(Plain):
    """Right but for a number of tokens: there D is soft."""

    def __init__(self, tokens: int):
        self.tokens, self.name = tokens, f"soft at {tokens} tokens"

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        """D, B N."""
        return soft if hard.shape[-1] == self.tokens else super().join(hard, soft)


class WrongInHalf(Plain):
    """Right but for the batch that is timed, in bfloat16."""

    name = "wrong in half"

    def weights(self, logits: Tensor) -> Tensor:
        """W, B M K."""
        right = super().weights(logits)
        wrong = logits.dtype == torch.bfloat16 and len(logits) == 3
        return torch.full_like(right, 1 / right.shape[-1]) if wrong else right


class HardOnly(Plain):
    """Never trained."""

    name = "hard only"

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        """D, B N."""
        return hard


COMPILED = bundled()["reference, log, compiled"]


def test_what_breaks_a_law_is_refused_by_that_law(admissions: Admissions) -> None:
    """The table says which."""
    refusal = admissions.refusal(Subject("hard only", HardOnly()), "selection", SMALL, "float32", "cpu")

    expected = "refused by gradient.reaches_score"
    assert expected == refusal


@pytest.mark.parametrize("tokens", [100, pytest.param(400, marks=pytest.mark.slow)])
def test_what_is_wrong_only_at_the_timed_size_is_refused(tokens: int, admissions: Admissions) -> None:
    """Laws draw neither 100 nor 400 tokens, so they are held to the size that is timed."""
    subject = Subject("soft", SoftAt(tokens))

    small = admissions.refusal(subject, "pipeline", SMALL, "float32", "cpu")
    large = admissions.refusal(subject, "pipeline", Size(2, tokens, 50, 64, 3), "float32", "cpu")

    assert small == ""
    assert large.startswith("refused by decision.forward_is_hard")


def test_what_is_wrong_only_in_the_timed_batch_and_dtype_is_refused(admissions: Admissions) -> None:
    """Uniform weights in bfloat16 at a batch of three, which no law tried: the numbers tell."""
    subject = Subject("half", WrongInHalf())

    refusals = [admissions.refusal(subject, "pipeline", SMALL, dtype, "cpu") for dtype in DTYPES]

    assert refusals[0] == ""
    assert refusals[1].startswith("wrong at this size: pooled tokens off by")


def test_what_is_right_is_asked_once(admissions: Admissions, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate a device and implementation; nothing is asked again for the next row."""
    subject = Subject("plain", Plain())
    first = admissions.refusal(subject, "pipeline", SMALL, "float32", "cpu")
    asked = len(admissions._asked)

    again = admissions.refusal(subject, "pipeline", SMALL, "float32", "cpu")

    assert first == again == ""
    assert asked == len(admissions._asked) == 3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["reference, subtract", "reference, log"])
def test_the_reference_agrees_with_float64(name: str, stage: str, dtype: str) -> None:
    """At a size that is timed, in every stage and dtype."""
    refusal = numerics.disagreement(bundled()[name], stage, EVERYDAY[0], dtype, "cpu")

    assert refusal == ""


@pytest.mark.parametrize("stage", STAGES)
def test_other_weights_or_no_gradient_do_not_agree(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of zero, and gradients of zero, are told from right ones."""
    subject = bundled()["reference, log"]
    right = numerics._results
    found: list[str] = []
    parts = len(numerics.OUTPUTS[stage]) + len(numerics.LEAVES[stage])

    for wrong in range(parts):
        monkeypatch.setattr(numerics, "_results", _with_zeros(right, wrong))
        found.append(numerics.disagreement(subject, stage, SMALL, "bfloat16", "cpu"))

    assert all(refusal.startswith("wrong at this size") for refusal in found), found


def _with_zeros(right: Any, wrong: int) -> Any:
    """The results, one of them zero unless they are float64's."""

    def results(workload: Any) -> list[Tensor]:
        parts = right(workload)
        return [
            torch.zeros_like(part) if i == wrong and workload.dtype != "float64" else part
            for i, part in enumerate(parts)
        ]

    return results


def test_what_raises_says_so() -> None:
    """In one line, as the reason why there is no time."""

    class Raises:
        name = "raises"

        def aggregator(self, *, dim: int, slots: int) -> nn.Module:
            raise RuntimeError("no such kernel\nand a traceback")

    refusal = numerics.disagreement(Subject("raises", Raises()), "aggregation", SMALL, "float32", "cpu")

    expected = "raised RuntimeError: no such kernel"
    assert expected == refusal


def test_compiled_code_is_held_to_eager() -> None:
    """Certified is the code as written; that compiled it is the same is a law of its own, asked by name."""
    asked: list[list[str] | None] = []

    def never_compiled(implementation: Any, target: str | None, device: str, laws: list[str] | None) -> Certificate:
        asked.append(laws)
        few = by_a_few_laws(implementation, target, device, ["gradient.reaches_score"])
        skipped = LawResult("runtime.compiled_equals_eager", "MUST", "skipped", reason="there is no C++ compiler")
        return few if laws is None else replace(few, laws=(skipped,))

    refusal = Admissions(never_compiled).refusal(COMPILED, "aggregation", SMALL, "float32", "cpu")

    assert asked == [None, ["runtime.compiled_equals_eager"]]
    assert refusal == "not compiled: there is no C++ compiler"


def test_by_default_profile_quick_certifies(monkeypatch: pytest.MonkeyPatch) -> None:
    """All laws, on the device that is timed."""
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "sdtps_ref.benchmarks.workloads.eligibility.check_implementation", lambda *_, **named: given.append(named)
    )

    Admissions().certificate(Plain(), None, "cuda:1")

    expected = {"laws": None, "device": "cuda:1", "target": None, "reproduce": False}
    assert expected == given[0]
