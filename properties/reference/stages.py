"""What the golden vectors ask of the reference beyond the contract: stages one by one, weights that are given."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from sdtps_ref.aggregation import Mask, TokenAggregation
from sdtps_ref.branches import TwoBranchSDTPS
from sdtps_ref.decision import hard_mask, keep_indices, soft_mask, straight_through
from sdtps_ref.multimodal import ModalityBranch, MultiModalSDTPS
from sdtps_ref.noise import gumbel_from_uniform
from sdtps_ref.scoring import ScorePredictor, combine_scores, dot_relevance

# The oracle's names of the weights, and where the reference's modules keep them.
SLOT_WEIGHTS = {
    "norm_weight": "logits.0.weight",
    "norm_bias": "logits.0.bias",
    "hidden_weight": "logits.1.weight",
    "hidden_bias": "logits.1.bias",
    "slots_weight": "logits.3.weight",
    "slots_bias": "logits.3.bias",
    "scale": "scale",
}
SCORE_WEIGHTS = {
    "hidden_weight": "layers.0.weight",
    "hidden_bias": "layers.0.bias",
    "score_weight": "layers.2.weight",
    "score_bias": "layers.2.bias",
}
Weights = Mapping[str, Tensor]


def load(module: nn.Module, weights: Weights, names: Mapping[str, str]) -> None:
    """Copy weights into a module's parameters; a name that is not among `names` is no weight (norm_eps)."""
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, path in names.items():
            parameters[path].copy_(weights[name].reshape(parameters[path].shape))


class Aggregation(TokenAggregation):
    """`TokenAggregation` whose weights can be given."""

    def load_weights(self, weights: Weights) -> None:
        """weights: the seven of SLOT_WEIGHTS, laid out as in torch.nn.Linear."""
        load(self, weights, SLOT_WEIGHTS)


class Scorer(nn.Module):
    """Equations 1 to 3 for sparse and dense text; the image is the mean token."""

    def __init__(self, dim: int, beta: float):
        super().__init__()
        self.predictor, self.beta = ScorePredictor(dim), beta

    def load_weights(self, weights: Weights) -> None:
        """weights: the four of SCORE_WEIGHTS."""
        load(self.predictor, weights, SCORE_WEIGHTS)

    def forward(self, tokens: Tensor, sparse: Tensor, dense: Tensor) -> Tensor:
        """tokens: B N C; sparse and dense: B C. Returns the score, B N."""
        image = dot_relevance(tokens, tokens.mean(dim=1))
        texts = [dot_relevance(tokens, sparse), dot_relevance(tokens, dense)]
        return combine_scores(self.predictor(tokens), image, texts, self.beta)


class TwoBranches(nn.Module):
    """Equation 4 with weights that can be given; returns the pooled tokens alone."""

    def __init__(self, branches: TwoBranchSDTPS):
        super().__init__()
        self.branches = branches

    def load_weights(self, sparse: Weights, dense: Weights) -> None:
        """The weights of the sparse branch's aggregation and of the dense one's."""
        load(self.branches.sparse_aggregation, sparse, SLOT_WEIGHTS)
        load(self.branches.dense_aggregation, dense, SLOT_WEIGHTS)

    def forward(self, tokens: Tensor, sparse_score: Tensor, dense_score: Tensor) -> Tensor:
        """tokens: B N C; scores: B N. Returns B M C."""
        return self.branches(tokens, sparse_score, dense_score).aggregated_tokens


class MultiModal(nn.Module):
    """The multi-modal form with weights that can be given; returns the tokens alone, as the contract has it."""

    def __init__(self, modalities: MultiModalSDTPS):
        super().__init__()
        self.sdtps = modalities

    def load_weights(self, weights: Mapping[str, Weights], score_weights: Mapping[str, Weights]) -> None:
        """By modality: the weights of its aggregation and of its score predictor."""
        for name, branch in zip(self.sdtps.modalities, self.sdtps.branches, strict=True):
            assert isinstance(branch, ModalityBranch)
            load(branch.aggregation, weights[name], SLOT_WEIGHTS)
            load(branch.predictor, score_weights[name], SCORE_WEIGHTS)

    def forward(self, tokens: Mapping[str, Tensor], global_features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """{name: B N C}, {name: B C}. Returns {name: B M+1 C}."""
        return self.sdtps(tokens, global_features).tokens


class Stages:
    """Beyond the contract, for whoever is given an input that the contract has no place for."""

    mask: Mask

    def gumbel_noise(self, uniform: Tensor) -> Tensor:
        """The noise of given uniforms, any shape."""
        return gumbel_from_uniform(uniform)

    def soft_mask(self, score: Tensor, gumbel_noise: Tensor | None, tau: float) -> Tensor:
        """B N."""
        return soft_mask(score, gumbel_noise, tau)

    def decision(self, score: Tensor, gumbel_noise: Tensor | None, *, keep: int, tau: float) -> Tensor:
        """D for given noise: B N."""
        return straight_through(hard_mask(score, keep_indices(score, keep)), soft_mask(score, gumbel_noise, tau))

    def scorer(self, *, dim: int, beta: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """f(tokens, sparse text, dense text) -> score."""
        return Scorer(dim, beta)

    def two_branches(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> TwoBranches:
        """f(tokens, sparse score, dense score) -> B M C."""
        return TwoBranches(TwoBranchSDTPS(dim, num_tokens, keep / num_tokens, tau=tau, slots=slots, mask=self.mask))
