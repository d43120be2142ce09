"""What laws hand to an aggregator, and how exactly it is owed back."""

import torch
from torch import Tensor

from sdtps_ref.properties.probe import Probe

# A mask that is added owes the exact value; one that multiplies (DynamicViT's policy softmax, with its
# epsilon of 1e-6) owes it to within rounding. Wrong masks are off by 1e-2 and more.
ROUNDING = {"float64": 1e-5, "float32": 5e-5}


def kept_tokens(probe: Probe, keep: int) -> Tensor:
    """The first `keep` tokens: which ones does not matter to an aggregator."""
    kept = probe.tokens[:, :keep]
    probe.script.name(kept, f"{probe.script.shown(probe.tokens)}[:, :{keep}]")
    return kept


def some_dropped(probe: Probe) -> Tensor:
    """A hard D over all N tokens that keeps the K highest scores: B N."""
    kept = probe.score.detach().topk(probe.case.keep).indices
    hard = torch.zeros(probe.case.batch, probe.case.num_tokens, dtype=probe.tokens.dtype, device=probe.tokens.device)
    return probe.given("decision", hard.scatter(1, kept, 1.0))


def rounding(probe: Probe, tokens: Tensor) -> float:
    """How far two right ways to pool `tokens` may be apart."""
    return ROUNDING[probe.case.dtype] * float(tokens.abs().amax())
