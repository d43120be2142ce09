"""A wrong answer has no speed: what is timed is first held to the numpy oracle."""

import numpy as np
import pytest
import torch

from sdtps_ref.benchmarks import workloads
from sdtps_ref.benchmarks.workloads import MODES, PUBLISHED, Size, Workload
from sdtps_ref.noise import gumbel_noise
from sdtps_ref.properties import oracle

DEVICES = ["cpu", *["cuda"] * torch.cuda.is_available()]
GAIN = {"subtract": 1e10, "log": 1.0}


def by_oracle(workload: Workload) -> tuple[oracle.Pipeline, oracle.Gradients]:
    """The same computation in numpy float64, with the noise that seed 1 draws."""
    torch.manual_seed(1)
    noise = gumbel_noise(workload.score.detach()).cpu()
    layers, scale = workload.pipeline.aggregation.logits, workload.pipeline.aggregation.scale
    weights = [parameter.detach().cpu() for parameter in layers.parameters()]
    parameters = oracle.SlotParameters(*weights, scale=float(scale.detach()))
    size = workload.size
    tokens, score = (x.detach().cpu() for x in (workload.tokens, workload.score))
    result = oracle.pipeline(tokens, score, noise, keep=size.K, tau=1.0, aggregation_logits=parameters)
    gain = GAIN[workload.mask]
    cotangent = workload.cotangent.cpu()
    return result, oracle.pipeline_gradients(result, cotangent, tau=1.0, gain=gain, parameters=parameters)


def assert_close(actual: torch.Tensor, expected: np.ndarray) -> None:
    """To 1e-4 of the largest entry; zeros would not pass."""
    largest = np.abs(expected).max()
    assert largest > 0
    np.testing.assert_allclose(actual.detach().cpu().numpy(), expected, rtol=0, atol=1e-4 * largest)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mask", ["subtract", "log"])
@pytest.mark.parametrize("size", PUBLISHED, ids=str)
def test_what_is_timed_is_right(size: Size, mask: workloads.Mask, device: str) -> None:
    """Pooled tokens and the gradients to tokens and score are the oracle's, at the sizes that are timed."""
    workload = workloads.make(size, mask, device)
    result, gradients = by_oracle(workload)

    torch.manual_seed(1)
    pooled = workload.forward()
    torch.manual_seed(1)
    d_tokens, d_score, *d_parameters = workload.backward()

    assert_close(pooled, result.aggregated_tokens)
    assert_close(d_tokens, gradients.tokens)
    assert_close(d_score, gradients.score)
    assert all(gradient.any() for gradient in d_parameters)


@pytest.mark.parametrize("mode", MODES)
def test_the_timed_call_does_the_work(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mode runs its own work, once a call."""
    workload = workloads.make(Size(1, 4, 2, 8, 1), "log", "cpu")
    calls = []
    for name in ("forward", "backward"):
        right = getattr(workloads.Workload, name)
        monkeypatch.setattr(
            workloads.Workload, name, lambda self, name=name, right=right: (calls.append(name), right(self))[1]
        )

    workload.timed(mode)()

    assert calls == {"forward": ["forward"], "forward and backward": ["backward", "forward"]}[mode]


def test_a_time_comes_with_what_it_means_nothing_without() -> None:
    """torch, device, threads, mask and sizes are recorded."""
    workload = workloads.make(Size(1, 4, 2, 8, 1), "log", "cpu")

    recorded = workloads.environment(workload)

    expected = {"torch": torch.__version__, "device_type": "cpu", "threads": torch.get_num_threads(), "mask": "log"}
    assert expected.items() <= recorded.items()
    assert {"B": 1, "N": 4, "K": 2, "C": 8, "M": 1}.items() <= recorded.items()
