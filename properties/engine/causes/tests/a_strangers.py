"""A right implementation in a file of its own, as a stranger writes one, and what is read of its lines."""

import importlib.util
import itertools
from pathlib import Path
from typing import Any

from sdtps_ref.properties.contract import provided
from sdtps_ref.properties.engine.causes.bench import Bench
from sdtps_ref.properties.engine.causes.examination import lines
from sdtps_ref.properties.kit.global_state import preserve_settings

RIGHT = """
import torch
from torch import nn
from types import SimpleNamespace


def gumbel(x):
    u = torch.rand(x.shape, dtype=torch.float64)
    return -torch.log(-torch.log(u.clamp(1e-15, 1 - 1e-15))).to(x.dtype)


class Select(nn.Module):
    def __init__(self, keep, tau):
        super().__init__()
        self.keep, self.tau, self.kept = keep, tau, None

    def forward(self, tokens, score):
        number = self.keep
        noisy = score
        if self.training:
            noisy = score + gumbel(score)
        logits = noisy / self.tau
        soft = torch.softmax(logits, dim=-1)
        keep = score.topk(number, dim=-1).indices
        hard = (keep.unsqueeze(-1) == torch.arange(score.shape[1])).any(-2).to(score.dtype)
        decision = hard + (soft - soft.detach())
        rest = score.masked_fill(hard.bool(), float("-inf"))
        shares = torch.softmax(rest, dim=-1)
        extra = shares.unsqueeze(1) @ tokens
        index = keep.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])
        kept = tokens.gather(1, index)
        marked = decision.gather(-1, keep)
        return SimpleNamespace(selected_tokens=kept, decision=decision, keep_indices=keep, selected_decision=marked,
                               extra_token=extra)


class Pool(nn.Module):
    def __init__(self, dim, slots):
        super().__init__()
        self.slots, self.folded = slots, None
        self.layers = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 5), nn.GELU(), nn.Linear(5, slots))

    def forward(self, tokens, decision=None):
        logits = self.layers(tokens)
        logits = logits.transpose(1, 2)
        if decision is not None:
            one = decision.unsqueeze(1)
            term = torch.where(one > 0, torch.where(one > 0, one, 1.0).log(), float("-inf"))
            logits = logits + term
        weights = torch.softmax(logits, dim=-1)
        return torch.bmm(weights, tokens)


class Both(nn.Module):
    def __init__(self, dim, keep, slots, tau):
        super().__init__()
        self.select, self.pool = Select(keep, tau), Pool(dim, slots)

    def forward(self, tokens, score):
        chosen = self.select(tokens, score)
        return self.pool(chosen.selected_tokens, chosen.selected_decision)


class Mine:
    def selector(self, *, dim, num_tokens, keep, tau):
        return Select(keep, tau)

    def aggregator(self, *, dim, slots):
        return Pool(dim, slots)

    def pipeline(self, *, dim, num_tokens, keep, slots, tau):
        return Both(dim, keep, slots, tau)
"""
names = itertools.count()


def load(folder: Path, source: str) -> Any:
    """A module of this source, in a file that is somebody's own."""
    file = folder / f"theirs_{next(names)}.py"
    file.write_text(source)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(folder: Path, source: str) -> dict[str, Any]:
    """What is read of the lines of an implementation with this source."""
    theirs = load(folder, source).Mine()
    bench = Bench(theirs, provided(theirs))
    found: dict[str, Any] = {}
    for examination in lines.EXAMINATIONS:
        with preserve_settings(examination.__name__, set()):
            found |= examination(bench)
    return found
