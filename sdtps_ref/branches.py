"""Equation 4: a sparse and a dense text branch, each with its own decision matrix and aggregation."""

from typing import NamedTuple

from torch import Generator, Tensor, nn

from sdtps_ref.aggregation import Mask, TokenAggregation, slot_count
from sdtps_ref.inputs import check_count
from sdtps_ref.selection import Selection, TokenSparse


class TwoBranches(NamedTuple):
    """What `TwoBranchSDTPS` returns."""

    aggregated_tokens: Tensor  # B M C  W_s @ V_s + W_d @ V_d
    sparse: Selection
    dense: Selection


class TwoBranchSDTPS(nn.Module):
    """out = W_s @ V_s + W_d @ V_d: D_s masks the sparse branch's own selection, D_d the dense one's.

    dim: C. num_tokens: N. keep_ratio, aggr_ratio: K / N and M / K. tau, mask, generator: as in
    `TokenSparse` and `TokenAggregation`. slots: M itself, in place of aggr_ratio.
    Source: SEPS (arXiv 2511.01390), equation 4.
    """

    def __init__(
        self,
        dim: int,
        num_tokens: int,
        keep_ratio: float = 0.5,
        aggr_ratio: float = 0.4,
        tau: float = 1.0,
        *,
        slots: int | None = None,
        mask: Mask = "log",
        generator: Generator | None = None,
    ):
        super().__init__()
        check_count("num_tokens", num_tokens)
        if slots is None:
            slots = slot_count(num_tokens, keep_ratio, aggr_ratio)
        self.selector = TokenSparse(dim, keep_ratio, tau, generator=generator)
        self.sparse_aggregation = TokenAggregation(dim, slots, mask=mask)
        self.dense_aggregation = TokenAggregation(dim, slots, mask=mask)

    def forward(self, tokens: Tensor, sparse_score: Tensor, dense_score: Tensor) -> TwoBranches:
        """tokens: B N C; a score for each text branch, B N."""
        sparse = self.selector(tokens, sparse_score)
        dense = self.selector(tokens, dense_score)
        pooled_sparse = self.sparse_aggregation(sparse.selected_tokens, sparse.selected_decision)
        pooled_dense = self.dense_aggregation(dense.selected_tokens, dense.selected_decision)
        return TwoBranches(pooled_sparse + pooled_dense, sparse, dense)
