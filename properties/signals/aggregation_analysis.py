"""What laws hand to an aggregator, and how exactly it is owed back."""

import torch
from torch import Tensor

from sdtps_ref.properties.kit import jacobians
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals import fingerprint

# A mask that is added owes the exact value; one that multiplies (DynamicViT's policy softmax, with its
# epsilon of 1e-6) owes it to within rounding. Wrong masks are off by 1e-2 and more.
ROUNDING = {"float64": 1e-5, "float32": 5e-5}
# A masked softmax is explained to 1e-11, DynamicViT's (epsilon 1e-6) to 1e-5; anything else, to 1e-2 or worse.
STRUCTURE = 1e-4


def kept_tokens(probe: Probe, keep: int) -> Tensor:
    """The first `keep` tokens: which ones does not matter to an aggregator."""
    return probe.tokens[:, :keep]


def some_dropped(probe: Probe) -> Tensor:
    """A hard D over all N tokens that keeps the K highest scores: B N."""
    kept = probe.score.detach().topk(probe.case.keep).indices
    hard = torch.zeros(probe.case.batch, probe.case.num_tokens, dtype=probe.tokens.dtype, device=probe.tokens.device)
    return probe.given("decision", hard.scatter(1, kept, 1.0))


def rounding(probe: Probe, tokens: Tensor) -> float:
    """How far two right ways to pool `tokens` may be apart."""
    return ROUNDING[probe.case.dtype] * float(tokens.abs().amax())


def gradient_owed_to_decision(probe: Probe, kept: Tensor, pooled: Tensor, directions: Tensor) -> Tensor:
    """What D at gain one owes along `directions` (B M C), the weights read off the pooled tokens: B M K."""
    for b in range(probe.case.batch):
        expect_means(probe, "aggregator(tokens, ones)", b, pooled[b].detach(), kept[b].detach())
    helpers = (fingerprint.weights, fingerprint.pooling_lever)
    return probe.define("owed", fingerprint.owed_to_decision, pooled, kept, directions, helpers=helpers)


def expect_means(probe: Probe, name: str, b: int, pooled: Tensor, tokens: Tensor) -> None:
    """Sample b is weighted means (M C) of the kept tokens (K C), to within `STRUCTURE` of its size."""
    off = probe.define("off", jacobians.off_all_means, pooled, tokens)
    if not off < STRUCTURE:
        raise Violation(
            f"{name}[b={b}] is {off:.3g} of its size away from every weighted mean of the {len(tokens)} kept tokens, "
            "but should be one: weights that sum to one over the tokens, times the tokens",
            check=off < STRUCTURE,
        )
