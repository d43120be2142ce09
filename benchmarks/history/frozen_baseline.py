"""The yardstick: the plain pipeline as it was when the first history began. FROZEN: this file is never edited.

Times of one machine say little on the next day and nothing on another machine; their ratio to the time of
this code, taken in turns with it, does. It has the operators of an SDTPS pipeline, the extra token that a
selection makes included, at the sizes of the workload: a yardstick that is unlike what it measures (a bare
matrix product was tried) moves otherwise when the machine is busy, hot or throttled. It imports torch alone,
checks nothing, and masks by log D. Were it improved, every history would jump on that day; a test holds it
to its digest.

B batch, N tokens, K kept tokens, C channels, M slots.
"""

import torch
from torch import Tensor, nn


class Yardstick(nn.Module):
    """f(tokens B N C, score B N) -> pooled tokens B M C, by a decision matrix with Gumbel noise at tau = 1."""

    def __init__(self, dim: int, keep: int, slots: int):
        super().__init__()
        self.keep = keep
        hidden = max(1, int(dim * 0.2))
        self.logits = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, slots))
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, tokens: Tensor, score: Tensor) -> Tensor:
        """tokens: B N C; score: B N. Returns B M C."""
        limits = torch.finfo(torch.float32)
        uniform = torch.rand(score.shape, dtype=torch.float32, device=score.device)
        uniform = uniform.clamp(limits.tiny, 1 - limits.eps / 2)
        noise = -torch.log(-torch.log(uniform)).to(score.dtype)  # B N
        soft = torch.softmax(score + noise, dim=-1).to(score.dtype)  # B N
        kept = torch.topk(score, self.keep, dim=-1).indices  # B K
        positions = torch.arange(score.shape[-1], device=score.device)  # N
        hard = (kept.unsqueeze(-1) == positions).any(-2).to(score.dtype)  # B N
        decision = (hard + (soft - soft.detach())).gather(-1, kept)  # B K
        dropped = torch.sort(hard, dim=-1, stable=True).indices[:, : score.shape[-1] - self.keep]  # B N-K
        shares = torch.softmax(score.gather(-1, dropped), dim=-1).to(tokens.dtype).unsqueeze(1)  # B 1 N-K
        _extra = shares @ tokens.gather(1, dropped.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))  # B 1 C
        selected = tokens.gather(1, kept.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))  # B K C
        logits = self.logits(selected).transpose(1, 2) * self.scale  # B M K
        weights = torch.softmax(logits + decision.log().unsqueeze(1), dim=-1)  # B M K
        return torch.bmm(weights.to(tokens.dtype), selected)  # B M C
