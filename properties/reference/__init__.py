"""The bundled reference, as an implementation of the contract: what `sdtps certify` takes when given no target."""

import torch
from torch import Tensor, nn

from sdtps_ref.aggregation import Mask
from sdtps_ref.branches import TwoBranchSDTPS
from sdtps_ref.multimodal import MultiModalSDTPS
from sdtps_ref.properties.reference.stages import Aggregation, MultiModal, Scorer, Stages, TwoBranches, Weights
from sdtps_ref.selection import TokenSparse


class Pipeline(nn.Module):
    """Selector and aggregation, with D passed from one to the other."""

    def __init__(self, selector: TokenSparse, aggregation: Aggregation):
        super().__init__()
        self.selector, self.aggregation = selector, aggregation

    def load_weights(self, weights: Weights) -> None:
        """The weights of the aggregation."""
        self.aggregation.load_weights(weights)

    def forward(self, tokens: Tensor, score: Tensor) -> Tensor:
        """tokens: B N C; score: B N. Returns B M C."""
        selection = self.selector(tokens, score)
        return self.aggregation(selection.selected_tokens, selection.selected_decision)


class TextGuided(nn.Module):
    """Equations 1 to 4 in a row: the score is made inside, from the tokens and two texts."""

    def __init__(self, scorer: Scorer, branches: TwoBranchSDTPS):
        super().__init__()
        self.scorer, self.branches = scorer, branches

    def forward(self, tokens: Tensor, sparse_text: Tensor, dense_text: Tensor) -> Tensor:
        """tokens: B N C; sparse_text and dense_text: B C. Returns B M C."""
        score = self.scorer(tokens, sparse_text, dense_text)
        return self.branches(tokens, score, score).aggregated_tokens


class Reference(Stages):
    """`sdtps_ref`'s modules behind the contract. mask: "log", which trains, or "subtract", as published."""

    def __init__(self, mask: Mask = "log"):
        self.mask: Mask = mask
        self.name = f"sdtps-ref, mask={mask!r}"

    def selector(self, *, dim: int, num_tokens: int, keep: int, tau: float) -> TokenSparse:
        """A `TokenSparse` whose ratio keeps exactly `keep` of `num_tokens`."""
        return TokenSparse(dim, keep / num_tokens, tau)

    def aggregator(self, *, dim: int, slots: int) -> Aggregation:
        """A `TokenAggregation` with this mask."""
        return Aggregation(dim, slots, mask=self.mask)

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Pipeline:
        """Both, wired."""
        selector = self.selector(dim=dim, num_tokens=num_tokens, keep=keep, tau=tau)
        return Pipeline(selector, self.aggregator(dim=dim, slots=slots))

    def multimodal(
        self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float, modalities: tuple[str, ...]
    ) -> MultiModal:
        """A `MultiModalSDTPS` of these modalities, with exactly `keep` and `slots`."""
        ratio = keep / num_tokens
        return MultiModal(
            MultiModalSDTPS(dim, num_tokens, ratio, tau=tau, modalities=modalities, slots=slots, mask=self.mask)
        )

    def branches(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> TwoBranches:
        """Equation 4: the two branches, without their selections."""
        return self.two_branches(dim=dim, num_tokens=num_tokens, keep=keep, slots=slots, tau=tau)

    def model(
        self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float
    ) -> tuple[TextGuided, dict[str, Tensor]]:
        """The two branches with the paper's score built inside, and inputs for a batch of four."""
        branches = TwoBranchSDTPS(dim, num_tokens, keep / num_tokens, tau=tau, slots=slots, mask=self.mask)
        texts = {name: torch.randn(4, dim) for name in ("sparse_text", "dense_text")}
        return TextGuided(Scorer(dim, beta=0.25), branches), {"tokens": torch.randn(4, num_tokens, dim), **texts}


def published() -> Reference:
    """The reference with the mask as it was published, which multiplies the score's gradient by 1e10."""
    return Reference(mask="subtract")


def log_mask() -> Reference:
    """The reference as one should train it."""
    return Reference(mask="log")
