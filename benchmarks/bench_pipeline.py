"""Times of the reference's pipeline: `pytest benchmarks --benchmark-only`, and `--benchmark-json FILE` to keep them."""

from typing import Any

import pytest
import torch

from sdtps_ref.benchmarks import workloads
from sdtps_ref.benchmarks.workloads import MODES, PUBLISHED, Size

# Few, so that the everyday run stays short.
ROUNDS = {"cpu": 5, "cuda": 20}


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    """Where it runs; CUDA is skipped with the reason where it cannot be had."""
    if request.param == "cuda" and not torch.cuda.is_available():
        built = "and this torch is built without CUDA" if torch.version.cuda is None else "though torch is built for it"
        pytest.skip(f"torch.cuda.is_available() is False, {built}")
    return request.param


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("mask", ["subtract", "log"])
@pytest.mark.parametrize("size", PUBLISHED, ids=str)
def bench_pipeline(benchmark: Any, device: str, size: Size, mask: Any, mode: str) -> None:
    """The pipeline as in training, at a published size; on a GPU the time includes the synchronisation."""
    workload = workloads.make(size, mask, device)
    benchmark.group = f"pipeline {mode}, {size}, {device}"
    benchmark.extra_info |= workloads.environment(workload) | {"mode": mode}

    benchmark.pedantic(workload.timed(mode), rounds=ROUNDS[device], iterations=1, warmup_rounds=2)

    if benchmark.stats is not None:  # None under --benchmark-disable
        benchmark.extra_info["tokens_per_second"] = size.B * size.N / benchmark.stats.stats.median
