"""The multi-modal form: every modality selects among its own tokens, guided by the others."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from sdtps_ref.aggregation import Mask, TokenAggregation, slot_count
from sdtps_ref.errors import InvalidInput
from sdtps_ref.inputs import check_count, check_feature, check_ratio, check_tokens
from sdtps_ref.scoring import ScorePredictor, combine_scores, cosine_relevance
from sdtps_ref.selection import TokenSparse


class MultiModal(NamedTuple):
    """What `MultiModalSDTPS` returns, by modality."""

    tokens: dict[str, Tensor]  # B M+1 C  the slots, then the extra token
    decisions: dict[str, Tensor]  # B N


class ModalityBranch(nn.Module):
    """One modality: score predictor, selector and aggregation of its own."""

    def __init__(
        self,
        dim: int,
        slots: int,
        keep_ratio: float,
        tau: float,
        beta: float,
        mask: Mask,
        generator: Generator | None,
    ):
        super().__init__()
        self.predictor = ScorePredictor(dim)
        self.selector = TokenSparse(dim, keep_ratio, tau, generator=generator)
        self.aggregation = TokenAggregation(dim, slots, mask=mask)
        self.beta = beta

    def forward(self, tokens: Tensor, own: Tensor, others: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """tokens: B N C; own and others: global features, B C each. Returns B M+1 C and D, B N."""
        score = combine_scores(
            self.predictor(tokens),
            cosine_relevance(tokens, own),
            [cosine_relevance(tokens, other) for other in others],
            self.beta,
        )
        selection = self.selector(tokens, score)
        slots = self.aggregation(selection.selected_tokens, selection.selected_decision)  # B M C
        return torch.cat([slots, selection.extra_token], dim=1), selection.decision


class MultiModalSDTPS(nn.Module):
    """SDTPS for named modalities, each scored against its own global feature and the others'.

    dim: C. num_tokens: N. keep_ratio, aggr_ratio: K / N and M / K. tau, mask, generator: as in
    `TokenSparse` and `TokenAggregation`. modalities: one name or more. beta: weight of the guidance
    in equation 3, in (0, 0.5]. slots: M itself, in place of aggr_ratio. Raises InvalidInput.
    """

    def __init__(
        self,
        dim: int,
        num_tokens: int,
        keep_ratio: float = 0.5,
        aggr_ratio: float = 0.4,
        tau: float = 1.0,
        *,
        modalities: Sequence[str] = ("rgb", "nir", "tir"),
        beta: float = 0.25,
        slots: int | None = None,
        mask: Mask = "log",
        generator: Generator | None = None,
    ):
        super().__init__()
        if isinstance(modalities, str) or not modalities or len(set(modalities)) != len(modalities):
            raise InvalidInput.given(f"modalities={modalities!r}", "one or more different names")
        check_ratio("2 * beta", 2 * beta)
        check_count("num_tokens", num_tokens)
        if slots is None:
            slots = slot_count(num_tokens, keep_ratio, aggr_ratio)
        self.dim, self.num_tokens, self.modalities = dim, num_tokens, tuple(modalities)
        # A list: a ModuleDict refuses names such as "keys" or "a.b" that are fine as labels.
        self.branches = nn.ModuleList(
            ModalityBranch(dim, slots, keep_ratio, tau, beta, mask, generator) for _ in self.modalities
        )

    def forward(self, tokens: Mapping[str, Tensor], global_features: Mapping[str, Tensor]) -> MultiModal:
        """tokens: {name: B N C}; global_features: {name: B C}; the names are this module's modalities."""
        for what, given in (("tokens", tokens), ("global_features", global_features)):
            if set(given) != set(self.modalities):
                raise InvalidInput.given(f"{what} for {sorted(given)}", f"exactly {list(self.modalities)}")
        for name in self.modalities:
            check_tokens(tokens[name], self.dim, f"tokens[{name!r}]")
            if tokens[name].shape[1] != self.num_tokens:
                shape = tuple(tokens[name].shape)
                raise InvalidInput.given(f"tokens[{name!r}] of shape {shape}", f"N = num_tokens = {self.num_tokens}")
            check_feature(f"global_features[{name!r}]", global_features[name], tokens[name])

        pooled, decisions = {}, {}
        for name, branch in zip(self.modalities, self.branches, strict=True):
            others = [global_features[other] for other in self.modalities if other != name]
            pooled[name], decisions[name] = branch(tokens[name], global_features[name], others)
        return MultiModal(pooled, decisions)
