"""What is timed is the computation that is claimed: held to the numpy oracle, mode by mode."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from sdtps_ref.benchmarks.workloads import workloads
from sdtps_ref.benchmarks.workloads.sizes import EVERYDAY, Size
from sdtps_ref.benchmarks.workloads.workload import MODES, Workload
from sdtps_ref.benchmarks.workloads.workloads import DTYPES, STAGES
from sdtps_ref.errors import InvalidInput
from sdtps_ref.golden import oracle
from sdtps_ref.noise import gumbel_noise
from sdtps_ref.properties.reference import Reference

SMALL = Size(B=2, N=8, K=4, C=8, M=2)
DEVICES = ["cpu", *["cuda"] * torch.cuda.is_available()]
GAIN = {"subtract": 1e10, "log": 1.0}
# Of the largest entry: what rounding leaves in a chain of a few hundred terms.
ROUNDING = {"float32": 1e-4, "bfloat16": 5e-2}


def by_oracle(workload: Workload, mask: str) -> tuple[oracle.Pipeline, oracle.Gradients]:
    """The same computation in numpy float64, with the noise that seed 1 draws."""
    tokens, score = workload.inputs[0].arguments
    torch.manual_seed(1)
    noise = gumbel_noise(score.detach()).cpu().double()
    weights = [part.detach().cpu().double() for part in workload.built.aggregation.logits.parameters()]
    scale = float(workload.built.aggregation.scale.detach())
    parameters = oracle.SlotParameters(*weights, scale=scale)
    tokens, score = (x.detach().cpu().double() for x in (tokens, score))
    result = oracle.pipeline(tokens, score, noise, keep=workload.size.K, tau=1.0, aggregation_logits=parameters)
    cotangent = workload.inputs[0].cotangents[0].cpu().double()
    gradients = oracle.pipeline_gradients(result, cotangent, tau=1.0, gain=GAIN[mask], parameters=parameters)
    return result, gradients


def assert_close(actual: torch.Tensor, expected: np.ndarray, rounding: float) -> None:
    """To `rounding` of the largest entry; zeros would not pass."""
    largest = np.abs(expected).max()
    assert largest > 0
    np.testing.assert_allclose(actual.detach().cpu().double().numpy(), expected, rtol=0, atol=rounding * largest)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mask", ["subtract", "log"])
@pytest.mark.parametrize("size", EVERYDAY, ids=str)
def test_the_pipeline_that_is_timed_is_right(size: Size, mask: Any, dtype: str, device: str) -> None:
    """Pooled tokens and the gradients to tokens and score are the oracle's, at the sizes and in the dtypes timed."""
    workload = workloads.make(Reference(mask), "pipeline", size, dtype, device)
    result, gradients = by_oracle(workload, mask)

    torch.manual_seed(1)
    outputs = workload.forward()
    d_tokens, d_score, *d_parameters = workload.gradients(outputs)

    assert_close(outputs[0], result.aggregated_tokens, ROUNDING[dtype])
    assert_close(d_tokens, gradients.tokens, ROUNDING[dtype])
    assert_close(d_score, gradients.score, ROUNDING[dtype])
    assert all(gradient.any() for gradient in d_parameters)


@pytest.mark.parametrize("stage", STAGES)
def test_every_input_and_parameter_has_a_gradient(stage: str) -> None:
    """The backward pass of every stage is the whole of it: nothing that is trained is left out of the time."""
    workload = workloads.make(Reference("log"), stage, SMALL, "float32", "cpu")

    gradients = workload.gradients(workload.forward())

    leaves = len(workload.inputs[0].leaves)
    assert len(gradients) == leaves + len(workload.parameters)
    assert all(gradient is not None for gradient in gradients)
    assert all(gradient.any() for gradient in gradients[:leaves])


@pytest.mark.parametrize("stage", STAGES)
def test_a_cotangent_for_each_output_in_its_shape_and_dtype(stage: str) -> None:
    """bfloat16 in, bfloat16 out; autograd would broadcast a cotangent of another shape or refuse it."""
    workload = workloads.make(Reference("log"), stage, SMALL, "bfloat16", "cpu")

    outputs = workload.forward()

    expected = [(cotangent.shape, torch.bfloat16) for cotangent in workload.inputs[0].cotangents]
    assert expected == [(output.shape, output.dtype) for output in outputs]


@pytest.mark.parametrize(
    ("mode", "made", "called"),
    [
        ("forward", [], ["forward"]),
        ("forward+backward", [], ["forward", "gradients"]),
        ("backward", ["forward"], ["gradients"]),
    ],
)
def test_each_mode_runs_its_own_work(
    mode: str, made: list[str], called: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a call; "backward" runs its forward pass when it is made, not when it is timed."""
    workload = workloads.make(Reference("log"), "pipeline", SMALL, "float32", "cpu")
    seen: list[str] = []
    for name in ("forward", "gradients"):
        right = getattr(Workload, name)

        def noted(*given: Any, name: str = name, right: Any = right, **named: Any) -> Any:
            seen.append(name)
            return right(*given, **named)

        monkeypatch.setattr(Workload, name, noted)

    call = workload.call(mode)
    at_first = list(seen)
    call()
    call()

    assert (made, made + 2 * called) == (at_first, seen)


@pytest.mark.parametrize("mode", MODES)
def test_inputs_are_rotated(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each turn has tokens of its own, and a call of its own that runs on them."""
    workload = workloads.make(Reference("log"), "selection", SMALL, "float32", "cpu", rotated=3)
    turns: list[int] = []
    right = Workload.forward
    monkeypatch.setattr(Workload, "forward", lambda self, turn=0: (turns.append(turn), right(self, turn))[1])

    for call in workload.calls(mode):
        call()

    first = {float(given.arguments[0].detach().flatten()[0]) for given in workload.inputs}
    assert len(first) == 3
    assert turns == [0, 1, 2]


def test_the_same_inputs_and_weights_every_time_and_for_everyone() -> None:
    """What differs between two times is the implementation; the caller's generator is left alone."""
    torch.manual_seed(5)
    before = torch.random.get_rng_state()

    one, other = (workloads.make(Reference(mask), "pipeline", SMALL, "float32", "cpu") for mask in ("log", "subtract"))

    assert torch.equal(before, torch.random.get_rng_state())
    pairs = [*zip(one.inputs[0].leaves, other.inputs[0].leaves, strict=True)]
    pairs += zip(one.parameters, other.parameters, strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("N", [1, 2, 5, 196, 1024])
def test_no_two_scores_are_equal(N: int) -> None:
    """Not in bfloat16 either, so every implementation keeps the same tokens in the same order."""
    size = Size(3, N, max(1, N // 2), 8, 1)

    score = workloads.make(Reference("log"), "selection", size, "bfloat16", "cpu").inputs[0].arguments[1]

    expected = [N] * 3
    assert expected == [len(set(row)) for row in score.tolist()]


def test_a_stage_that_is_not_offered_is_refused() -> None:
    """In one line, with the method that is missing."""

    class OnlySelects:
        name = "only selects"
        selector = Reference().selector

    with pytest.raises(InvalidInput, match="which has no aggregator"):
        workloads.make(OnlySelects(), "aggregation", SMALL, "float32", "cpu")
    with pytest.raises(InvalidInput, match="given stage='pooling'; accepted: selection"):
        workloads.make(OnlySelects(), "pooling", SMALL, "float32", "cpu")


COMPILED = """
import torch
from sdtps_ref.benchmarks.workloads import workloads
from sdtps_ref.benchmarks.workloads.implementations import bundled
from sdtps_ref.benchmarks.workloads.sizes import Size

size = Size(B=2, N=8, K=4, C=8, M=2)
eager, fast = (
    workloads.make(bundled()[name].implementation, "aggregation", size, "float32", "cpu")
    for name in ("reference, log", "reference, log, compiled")
)
pooled = fast.forward()[0]
backward = fast.call("backward")
backward()
backward()
assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 1
torch.testing.assert_close(eager.forward()[0], pooled)
"""


@pytest.mark.slow
def test_compiled_parts_are_compiled_and_give_the_same_tokens() -> None:
    """torch.compile of the log mask runs a graph of its own, and pools the same tokens; a backward pass can repeat.

    In a process of its own: what torch compiled or gave up on in this one, for other tests, would decide.
    """
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
