"""A model that two processes train: every rank's trace is right, and its gradients are those of an untraced one."""

from __future__ import annotations

import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from sdtps_ref import trace
from sdtps_ref.properties.maintenance.traced_runs import rehearsal
from sdtps_ref.properties.tracing.tests.conftest import MASK

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="there is no gloo"),
]


def work(rank: int, port: int, folder, kind: str, traced: bool, results) -> None:
    """One rank: one step, of which the gradients and what was seen are handed back."""
    import pathlib

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        module = rehearsal.script((MASK,), pathlib.Path(folder), f"rank_{rank}_{traced}")
        torch.manual_seed(0)
        model = module.Reader()
        if kind == "ddp":
            model = DistributedDataParallel(model)
        else:
            from torch.distributed.fsdp import fully_shard

            mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (2,))
            fully_shard(model, mesh=mesh)
        torch.manual_seed(10 + rank)
        batch, target = module.data(rank)
        context = trace(model)
        if traced:
            with context as seen:
                nn.functional.cross_entropy(model(batch), target).backward()
        else:
            nn.functional.cross_entropy(model(batch), target).backward()
        gradients = [p.grad.full_tensor() if hasattr(p.grad, "full_tensor") else p.grad for p in model.parameters()]
        said = (seen.cause.kind, seen.cause.where.text, seen.sites[0].gain, str(seen)) if traced else None
        results[rank] = ([g.detach().clone() for g in gradients], said)
    finally:
        dist.destroy_process_group()


def run(tmp_path, kind: str, traced: bool):
    """Both ranks' results."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with mp.Manager() as manager:
        results = manager.dict()
        mp.spawn(work, (port, str(tmp_path), kind, traced, results), nprocs=2)
        return [results[rank] for rank in (0, 1)]


@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_two_processes(tmp_path, kind):
    """The cause and its line on every rank; averaged gradients that are the same bit for bit."""
    if kind == "fsdp2" and not hasattr(pytest.importorskip("torch.distributed.fsdp"), "fully_shard"):
        pytest.skip("this torch has no fully_shard")
    try:
        plain = run(tmp_path, kind, traced=False)
    except Exception as error:
        if kind == "fsdp2":
            pytest.skip(f"FSDP2 does not run on gloo here: {str(error).splitlines()[-1]}")
        raise
    traced = run(tmp_path, kind, traced=True)

    for (one, _), (other, said) in zip(plain, traced, strict=True):
        assert said[0] == "call.gain_is_about_one"
        assert said[1] == MASK[1]
        assert 3e9 < said[2] < 3e10
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
