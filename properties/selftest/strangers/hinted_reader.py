"""Read a picture with a hint in mind: the best cells of the feature grid become a handful of tokens."""

import torch
import torch.nn as nn


class HintedReader(nn.Module):
    def __init__(self, *, channels=64, tokens_out=4, keep_ratio=0.5, tau=1.0):
        super().__init__()
        self.keep_ratio, self.tau = keep_ratio, tau
        self.bilinear = nn.Linear(channels, channels, bias=False)
        self.spread = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, tokens_out))

    def select(self, score):
        k = max(1, int(score.size(1) * self.keep_ratio))
        best = score.topk(k).indices
        logits = score
        if self.training:
            u = torch.rand_like(score).clamp(min=torch.finfo(score.dtype).tiny)
            logits = score - (-u.log()).log()
        soft = torch.softmax(logits / self.tau, dim=0)
        hard = torch.zeros_like(soft).scatter(1, best, 1.0)
        return best, hard + (soft - soft.detach())

    def forward(self, *, hint, cells):
        """A hint B C and grid cells B N C; returns a dictionary with `tokens` B M C."""
        score = (self.bilinear(cells) @ hint.unsqueeze(-1)).squeeze(-1) / cells.size(-1) ** 0.5
        best, decision = self.select(score)
        kept = torch.take_along_dim(cells, best.unsqueeze(-1), 1)
        logits = self.spread(kept).transpose(1, 2)
        logits = logits + decision.gather(1, best).log().unsqueeze(1)
        return {"tokens": logits.softmax(-1) @ kept, "best": best}
