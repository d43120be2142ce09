"""Two texts, two decision matrices, two aggregations, one sum."""

import torch
from torch import Tensor, nn

from sdtps_ref.properties.selftest.planted.baseline import Plain, fault
from sdtps_ref.properties.selftest.planted.selection_result import SelectionResult


@fault(expected_law="branches.decision_acts_in_its_own_branch")
class DenseBranchMaskedBySparse(Plain):
    """The dense branch pools its own tokens and is handed the D of the sparse one: the dense score is not trained."""

    def pool_dense(self, sparse: SelectionResult, dense: SelectionResult, pools: nn.ModuleList) -> Tensor:
        return pools[1](dense.selected_tokens, sparse.selected_decision)


@fault(expected_law="branches.is_the_sum_of_both")
class BranchesAveraged(Plain):
    """The mean of the two branches, where equation 4 has their sum."""

    def add(self, sparse: Tensor, dense: Tensor) -> Tensor:
        return (sparse + dense) / 2


@fault(expected_law="branches.shape_follows_inputs")
class BranchesConcatenated(Plain):
    """Both branches' slots one after the other: twice M."""

    def add(self, sparse: Tensor, dense: Tensor) -> Tensor:
        return torch.cat([sparse, dense], dim=1)


@fault(expected_law="branches.have_their_own_aggregation")
class OneAggregationForBothBranches(Plain):
    """The dense branch is pooled by the sparse one's aggregation."""

    def pool_dense(self, sparse: SelectionResult, dense: SelectionResult, pools: nn.ModuleList) -> Tensor:
        return pools[0](dense.selected_tokens, dense.selected_decision)


@fault(expected_law="branches.noise_is_not_shared")
class OneNoiseForBothBranches(Plain):
    """The generator is put back between the branches."""

    def choose_branches(
        self, tokens: Tensor, scores: tuple[Tensor, Tensor], selectors: nn.ModuleList
    ) -> tuple[SelectionResult, SelectionResult]:
        state = torch.get_rng_state()
        sparse = selectors[0](tokens, scores[0])
        torch.set_rng_state(state)
        return sparse, selectors[1](tokens, scores[1])
