"""The reference compiled: torch.compile gives eager's forward bits and its gradients, in training."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sdtps_ref import MultiModalSDTPS, TokenAggregation, TokenSparse
from sdtps_ref.aggregation import Mask
from sdtps_ref.properties.kit.values import draw
from sdtps_ref.scoring import min_max

B, N, K, C, M = 3, 16, 8, 8, 3
# Fused kernels sum in another order: this much of the largest entry, which counts as 0.1 at least
# (the last bias of the slots has a gradient of zero plus rounding).
ROUNDING = 1e-4
Outputs = tuple[Tensor, ...]


def z_score(raw: Tensor) -> Tensor:
    """A score behind the other row reduction in use: B N."""
    return (raw - raw.mean(-1, keepdim=True)) / (raw.std(-1, keepdim=True) + 1e-3)


class Selecting(nn.Module):
    """A selector behind a z-score."""

    def __init__(self) -> None:
        super().__init__()
        self.selector = TokenSparse(C, K / N, tau=0.7)

    def forward(self, tokens: Tensor, raw: Tensor) -> Outputs:
        """tokens: B N C; raw: B N. Returns what is owed to the bit, then what is owed to rounding."""
        selection = self.selector(tokens, z_score(raw))
        return selection.decision, selection.selected_decision, selection.selected_tokens, selection.extra_token


class Pooling(nn.Module):
    """Selection and aggregation behind min-max, as the papers have it."""

    def __init__(self, mask: Mask):
        super().__init__()
        self.selector, self.aggregation = TokenSparse(C, K / N, tau=0.7), TokenAggregation(C, M, mask=mask)

    def forward(self, tokens: Tensor, raw: Tensor) -> Outputs:
        """tokens: B N C; raw: B N."""
        selection = self.selector(tokens, min_max(raw))
        pooled = self.aggregation(selection.selected_tokens, selection.selected_decision)
        return selection.decision, selection.selected_decision, selection.selected_tokens, pooled


class Modalities(nn.Module):
    """The multi-modal form, which min-max normalises its scores itself."""

    def __init__(self, mask: Mask):
        super().__init__()
        self.sdtps = MultiModalSDTPS(C, N, keep_ratio=K / N, modalities=("rgb", "nir"), mask=mask)

    def forward(self, tokens: Tensor, raw: Tensor) -> Outputs:
        """tokens: B N C; raw: B N, which makes the second modality another one."""
        given = {"rgb": tokens, "nir": tokens * raw.unsqueeze(-1)}
        out = self.sdtps(given, {name: value.mean(1) for name, value in given.items()})
        return out.decisions["rgb"], out.decisions["nir"], out.tokens["rgb"], out.tokens["nir"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "last"),
    [
        pytest.param(Selecting, 0, id="selector behind z-score"),
        pytest.param(lambda: Pooling("subtract"), 3, id="aggregation, subtract"),
        pytest.param(lambda: Modalities("log"), 3, id="modalities, log"),
    ],
)
def test_compiled_equals_eager(made: Callable[[], nn.Module], last: int) -> None:
    """Every D is equal to the bit, and the gradient of the `last` output to rounding."""
    torch.manual_seed(0)
    module = made().train()

    eager, eager_gradients = step(module, module, last)
    torch._dynamo.reset()
    fast, fast_gradients = step(torch.compile(module, fullgraph=True, options={"fallback_random": True}), module, last)

    assert torch.equal(fast[0], eager[0])
    assert int(eager[0].sum()) == B * K
    if last == 3:
        assert torch.equal(fast[1], eager[1])
    for seen, owed in zip((*fast, *fast_gradients), (*eager, *eager_gradients), strict=True):
        assert (seen - owed).abs().amax() <= ROUNDING * owed.abs().amax().clamp_min(0.1)
    assert fast_gradients[0].any()


def step(run: Callable[[Tensor, Tensor], Outputs], module: nn.Module, last: int) -> tuple[Outputs, Outputs]:
    """Forward with the noise of one seed; the outputs, and the last one's gradient to inputs and parameters."""
    tokens = draw("normal", (B, N, C), 1).float().requires_grad_()
    raw = draw("distinct", (B, N), 2).float().requires_grad_()
    torch.manual_seed(5)
    outputs = run(tokens, raw)
    cotangent = draw("normal", tuple(outputs[last].shape), 3).float()
    sources = (raw, tokens, *module.parameters())
    gradients = torch.autograd.grad(outputs[last], sources, cotangent, allow_unused=True, materialize_grads=True)
    return tuple(part.detach() for part in outputs), gradients
