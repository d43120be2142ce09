"""A published TokenAggregation as an aggregator."""

from torch import Tensor, nn

from sdtps_ref.properties.targets.adapters.signatures import Recognised


class Aggregator(nn.Module):
    """One TokenAggregation; D is its keep_policy, if it takes one."""

    def __init__(self, recognised: Recognised, dim: int, slots: int):
        super().__init__()
        self.module = recognised.make(dim=dim, keeped_patches=slots)
        self.takes_policy = recognised.call_takes("keep_policy")
        self.needs_policy = bool(recognised.further())

    def forward(self, tokens: Tensor, decision: Tensor | None = None) -> Tensor:
        """tokens: B K C; decision: B K."""
        if not self.takes_policy or (decision is None and not self.needs_policy):
            return self.module(tokens)
        return self.module(tokens, keep_policy=decision)
