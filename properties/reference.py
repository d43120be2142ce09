"""The bundled reference, as an implementation of the contract: what `sdtps certify` takes when given no target."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sdtps_ref.aggregation import Mask, TokenAggregation
from sdtps_ref.branches import TwoBranchSDTPS
from sdtps_ref.multimodal import MultiModalSDTPS
from sdtps_ref.scoring import ScorePredictor, combine_scores, dot_relevance
from sdtps_ref.selection import TokenSparse


class Pipeline(nn.Module):
    """Selector and aggregation, with D passed from one to the other."""

    def __init__(self, selector: TokenSparse, aggregation: TokenAggregation):
        super().__init__()
        self.selector, self.aggregation = selector, aggregation

    def forward(self, tokens: Tensor, score: Tensor) -> Tensor:
        """tokens: B N C; score: B N. Returns B M C."""
        selection = self.selector(tokens, score)
        return self.aggregation(selection.selected_tokens, selection.selected_decision)


class Modalities(nn.Module):
    """`MultiModalSDTPS`, of which the contract wants the tokens only."""

    def __init__(self, modalities: MultiModalSDTPS):
        super().__init__()
        self.modalities = modalities

    def forward(self, tokens: Mapping[str, Tensor], global_features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """tokens: {name: B N C}; global_features: {name: B C}. Returns {name: B (M+1) C}."""
        return self.modalities(tokens, global_features).tokens


class TextGuided(nn.Module):
    """Equations 1 to 4 in a row: the score is made inside, from the tokens and two texts."""

    def __init__(self, branches: TwoBranchSDTPS, dim: int):
        super().__init__()
        self.predictor, self.branches = ScorePredictor(dim), branches

    def forward(self, tokens: Tensor, sparse_text: Tensor, dense_text: Tensor) -> Tensor:
        """tokens: B N C; sparse_text and dense_text: B C. Returns B M C."""
        score = combine_scores(
            self.predictor(tokens),
            dot_relevance(tokens, tokens.mean(dim=1)),
            [dot_relevance(tokens, sparse_text), dot_relevance(tokens, dense_text)],
        )
        return self.branches(tokens, score, score).aggregated_tokens


class Reference:
    """`sdtps_ref`'s modules behind the contract. mask: "subtract", as published, or "log"."""

    def __init__(self, mask: Mask = "subtract"):
        self.mask: Mask = mask
        self.name = f"sdtps-ref, mask={mask!r}"

    def selector(self, *, dim: int, num_tokens: int, keep: int, tau: float) -> TokenSparse:
        """A `TokenSparse` whose ratio keeps exactly `keep` of `num_tokens`."""
        return TokenSparse(dim, keep / num_tokens, tau)

    def aggregator(self, *, dim: int, slots: int) -> TokenAggregation:
        """A `TokenAggregation` with this mask."""
        return TokenAggregation(dim, slots, mask=self.mask)

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Pipeline:
        """Both, wired."""
        selector = self.selector(dim=dim, num_tokens=num_tokens, keep=keep, tau=tau)
        return Pipeline(selector, self.aggregator(dim=dim, slots=slots))

    def multimodal(
        self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float, modalities: tuple[str, ...]
    ) -> Modalities:
        """A `MultiModalSDTPS` of these modalities, with exactly `keep` and `slots`."""
        return Modalities(
            MultiModalSDTPS(
                dim, num_tokens, keep / num_tokens, tau=tau, modalities=modalities, slots=slots, mask=self.mask
            )
        )

    def model(
        self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float
    ) -> tuple[TextGuided, dict[str, Tensor]]:
        """The two branches with the paper's score built inside, and inputs for a batch of four."""
        branches = TwoBranchSDTPS(dim, num_tokens, keep / num_tokens, tau=tau, slots=slots, mask=self.mask)
        texts = {name: torch.randn(4, dim) for name in ("sparse_text", "dense_text")}
        return TextGuided(branches, dim), {"tokens": torch.randn(4, num_tokens, dim), **texts}


def log_mask() -> Reference:
    """The reference as one should train it."""
    return Reference(mask="log")
