"""The bundled reference, as an implementation of the contract: what `sdtps certify` takes when given no target."""

from torch import Tensor, nn

from sdtps_ref.aggregation import Mask, TokenAggregation
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


def log_mask() -> Reference:
    """The reference as one should train it."""
    return Reference(mask="log")
