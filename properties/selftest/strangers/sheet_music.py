import torch
import torch.nn.functional as F
from torch import nn


class SheetMusic(nn.Module):
    """Attention over notes by how far apart they are, a drawn mask to train by, and the best ones to look at."""

    def __init__(self, width=16, longest=32, share=0.5):
        super().__init__()
        self.share = share
        self.qkv = nn.Linear(width, 3 * width)
        self.apart = nn.Parameter(torch.randn(longest, width) * 0.1)
        self.keep = nn.Linear(width, 2)
        self.width = width

    def shifted(self, table):
        """Row by row one further to the left, so that offsets count from each row's own place."""
        rows, length = table.shape[-2:]
        wide = torch.cat([table.new_zeros(len(table), rows, 1), table], dim=-1)
        return wide.view(len(table), length + 1, rows)[:, 1:].reshape(table.shape)

    def forward(self, notes):
        count = notes.shape[1]
        q, k, v = self.qkv(notes).chunk(3, dim=-1)
        logits = q @ k.mT + self.shifted(q @ self.apart[:count].mT)
        logits = logits.masked_fill(torch.ones(count, count).triu(1).bool(), -torch.inf)
        read = notes + (logits / self.width**0.5).softmax(-1) @ v
        two = self.keep(read)
        best = two.softmax(-1)[..., 0].topk(int(count * self.share), dim=1).indices
        shown = torch.zeros_like(two[..., 0]).scatter(1, best, 1.0)
        if not self.training:
            return read * shown.unsqueeze(-1), shown
        drawn = F.gumbel_softmax(two, hard=True, dim=-1)[..., 0]
        return read * drawn.unsqueeze(-1), shown


def example():
    return SheetMusic(), (torch.randn(3, 14, 16),)
