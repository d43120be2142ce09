"""The steps around the selection, right: a score from tokens and features, several modalities, a whole model."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.selftest.planted.selection_result import SelectionResult

BATCH = 4  # of the model's own inputs


class GuidedSteps:
    """What `Plain` is made of besides selection and aggregation. Uses its `selector`, `aggregator` and `wire`."""

    # The score, step by step.

    def predict(self, tokens: Tensor, predictor: nn.Module) -> Tensor:
        """Predicted significance, B N."""
        return predictor(tokens).squeeze(-1).sigmoid()

    def min_max(self, rows: Tensor) -> Tensor:
        """Rows, B N, stretched to [0, 1]; a spread under 1e-3 counts as 1e-3."""
        low, high = rows.min(-1, keepdim=True).values, rows.max(-1, keepdim=True).values
        return (rows - low) / (high - low).clamp(min=1e-3)

    def relevance(self, tokens: Tensor, feature: Tensor) -> Tensor:
        """How much each token has of a feature (B C): B N."""
        similar = torch.einsum("bnc,bc->bn", tokens, feature) / tokens.shape[-1]
        return self.min_max(similar)

    def combine(self, predicted: Tensor, relevances: list[Tensor]) -> Tensor:
        """The score, B N. relevances: to the own feature first, then to the others."""
        return 0.5 * predicted + 0.25 * (sum(relevances) + relevances[0])

    def score(self, tokens: Tensor, predictor: nn.Module, features: list[Tensor]) -> Tensor:
        """All of the above, B N."""
        relevances = [self.relevance(tokens, feature) for feature in features]
        return self.combine(self.predict(tokens, predictor), relevances)

    # Several modalities.

    def guides(self, name: str, features: Mapping[str, Tensor]) -> list[Tensor]:
        """What a modality is scored against: its own feature, then the others'."""
        return [features[name], *(features[other] for other in features if other != name)]

    def select_each(
        self, selectors: Mapping[str, nn.Module], tokens: Mapping[str, Tensor], scores: Mapping[str, Tensor]
    ) -> dict[str, SelectionResult]:
        """Every modality's own selection."""
        return {name: selectors[name](tokens[name], scores[name]) for name in selectors}

    def wire_modality(
        self, name: str, selections: Mapping[str, SelectionResult], pool: Callable[..., Tensor]
    ) -> Tensor:
        """A modality's slots, B M C."""
        return pool(selections[name].selected_tokens, selections[name].selected_decision)

    def finish(self, name: str, slots: Tensor, selections: Mapping[str, SelectionResult]) -> Tensor:
        """A modality's slots, then its extra token: B M+1 C."""
        return torch.cat([slots, selections[name].extra_token], dim=1)

    # Two branches.

    def choose_branches(
        self, tokens: Tensor, scores: tuple[Tensor, Tensor], selectors: nn.ModuleList
    ) -> tuple[SelectionResult, SelectionResult]:
        """The selection of the sparse text's branch, and that of the dense text's."""
        sparse, dense = (select(tokens, score) for select, score in zip(selectors, scores, strict=True))
        return sparse, dense

    def pool_sparse(self, sparse: SelectionResult, dense: SelectionResult, pools: nn.ModuleList) -> Tensor:
        """W_s @ V_s, B M C."""
        return pools[0](sparse.selected_tokens, sparse.selected_decision)

    def pool_dense(self, sparse: SelectionResult, dense: SelectionResult, pools: nn.ModuleList) -> Tensor:
        """W_d @ V_d, B M C."""
        return pools[1](dense.selected_tokens, dense.selected_decision)

    def add(self, sparse: Tensor, dense: Tensor) -> Tensor:
        """The output of both branches, B M C."""
        return sparse + dense

    # The model.

    def run_model(self, tokens: Tensor, feature: Tensor, model: "Model") -> Any:
        """What the model returns: B M C."""
        score = self.score(tokens, model.predictor, [feature, tokens.mean(dim=1)])
        return model.pipeline(tokens, score)

    def score_network(self, dim: int) -> Any:
        """From tokens, B N C, to B N 1."""
        return predictor(dim)

    # The contract.

    def multimodal(self, *, modalities: tuple[str, ...], **sizes: Any) -> "Modalities":
        """As the contract has it."""
        return Modalities(self, modalities, **sizes)

    def branches(self, **sizes: Any) -> "Branches":
        """As the contract has it."""
        return Branches(self, **sizes)

    def model(self, **sizes: Any) -> tuple["Model", dict[str, Tensor]]:
        """As the contract has it."""
        B, N, C = BATCH, sizes["num_tokens"], sizes["dim"]
        return Model(self, **sizes), {"tokens": torch.randn(B, N, C), "feature": torch.randn(B, C)}


def predictor(dim: int) -> nn.Module:
    """Layers from a token to its predicted significance, before the sigmoid."""
    hidden = max(2, dim // 4)
    return nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, 1))


class Modalities(nn.Module):
    """Takes every step from `steps`."""

    def __init__(self, steps: Any, modalities: tuple[str, ...], *, slots: int, **sizes: Any):
        super().__init__()
        self.steps, self.names = steps, modalities
        self.predictors = nn.ModuleList(predictor(sizes["dim"]) for _ in modalities)
        self.selectors = nn.ModuleList(steps.selector(**sizes) for _ in modalities)
        self.pools = nn.ModuleList(steps.aggregator(dim=sizes["dim"], slots=slots) for _ in modalities)

    def forward(self, tokens: Mapping[str, Tensor], features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """tokens: {name: B N C}; features: {name: B C}."""
        steps, names = self.steps, self.names
        scores = {
            name: steps.score(tokens[name], predictor, steps.guides(name, features))
            for name, predictor in zip(names, self.predictors, strict=True)
        }
        selections = steps.select_each(dict(zip(names, self.selectors, strict=True)), tokens, scores)
        slots = {
            name: steps.wire_modality(name, selections, pool) for name, pool in zip(names, self.pools, strict=True)
        }
        return {name: steps.finish(name, slots[name], selections) for name in names}


class Branches(nn.Module):
    """Takes every step from `steps`."""

    def __init__(self, steps: Any, *, slots: int, **sizes: Any):
        super().__init__()
        self.steps = steps
        self.selectors = nn.ModuleList(steps.selector(**sizes) for _ in range(2))
        self.pools = nn.ModuleList(steps.aggregator(dim=sizes["dim"], slots=slots) for _ in range(2))

    def forward(self, tokens: Tensor, score_sparse: Tensor, score_dense: Tensor) -> Tensor:
        """tokens: B N C; scores: B N."""
        steps = self.steps
        sparse, dense = steps.choose_branches(tokens, (score_sparse, score_dense), self.selectors)
        pools = self.pools
        return steps.add(steps.pool_sparse(sparse, dense, pools), steps.pool_dense(sparse, dense, pools))


class Model(nn.Module):
    """Takes every step from `steps`."""

    def __init__(self, steps: Any, **sizes: Any):
        super().__init__()
        self.steps = steps
        self.predictor = steps.score_network(sizes["dim"])
        self.pipeline = steps.pipeline(**sizes)

    def forward(self, tokens: Tensor, feature: Tensor) -> Any:
        """tokens: B N C; feature: B C."""
        return self.steps.run_model(tokens, feature, self)
