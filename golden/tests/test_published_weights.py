"""Published classes and the reference, with the same weights, are one function."""

import pytest
import torch
from torch import nn

from sdtps_ref import InvalidInput, MultiModalSDTPS, ScorePredictor, TokenAggregation, published_weights
from sdtps_ref.properties.selftest.published import multi_modal


@pytest.fixture
def theirs() -> multi_modal.MultiModalSDTPS:
    """With a scale that is not 1, in eval mode."""
    torch.manual_seed(0)
    model = multi_modal.MultiModalSDTPS(32, 16).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("scale"):
            nn.init.constant_(parameter, 1.5)
    return model


def test_an_aggregation_pools_alike(theirs: multi_modal.MultiModalSDTPS) -> None:
    """To the last bit but for the order of sums."""
    ours = TokenAggregation(32, slots=3)
    ours.load_state_dict(published_weights(theirs.state_dict(), "rgb_aggr."))
    tokens, decision = torch.randn(2, 8, 32), torch.ones(2, 8)

    torch.testing.assert_close(ours(tokens, decision), theirs.rgb_aggr(tokens, decision))


def test_a_predictor_scores_alike(theirs: multi_modal.MultiModalSDTPS) -> None:
    """It lies in the class that selects."""
    ours = ScorePredictor(32)
    ours.load_state_dict(published_weights(theirs.nir_sparse.state_dict()))
    tokens = torch.randn(2, 8, 32)

    torch.testing.assert_close(ours(tokens), theirs.nir_sparse.score_predictor(tokens).squeeze(-1))


def test_a_whole_model_answers_alike(theirs: multi_modal.MultiModalSDTPS) -> None:
    """Pooled tokens, the extra one and D of every modality."""
    ours = MultiModalSDTPS(32, 16).eval()
    for name, branch in zip(ours.modalities, ours.branches, strict=True):
        branch.predictor.load_state_dict(published_weights(theirs.state_dict(), f"{name}_sparse."))
        branch.aggregation.load_state_dict(published_weights(theirs.state_dict(), f"{name}_aggr."))
    tokens = [torch.randn(2, 16, 32) for _ in range(3)]
    features = [torch.randn(2, 32) for _ in range(3)]

    given = [dict(zip(ours.modalities, values, strict=True)) for values in (tokens, features)]

    pooled, decisions = ours(*given)
    torch.testing.assert_close([*pooled.values(), *decisions.values()], list(theirs(*tokens, *features)))


@pytest.mark.parametrize(
    ("prefix", "accepted"), [("", "'nir_aggr.', 'nir_sparse.', 'rgb_aggr.'"), ("rgb.", "'rgb_aggr.', 'rgb_sparse.'")]
)
def test_another_prefix_is_refused(theirs: multi_modal.MultiModalSDTPS, prefix: str, accepted: str) -> None:
    """With those that are there."""
    with pytest.raises(InvalidInput, match=f"given prefix='{prefix}'; accepted: .*{accepted}"):
        published_weights(theirs.state_dict(), prefix)


def test_another_state_is_refused() -> None:
    """Of a class that is none of the published ones."""
    with pytest.raises(InvalidInput, match="which this is not"):
        published_weights(nn.Linear(3, 3).state_dict())
