"""Words of a review drawn one by one without replacement, and rewarded by how well they are understood."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class RewardedWords(nn.Module):
    def __init__(self, dim=32, words=4, classes=3):
        super().__init__()
        self.words = words
        self.choose = nn.Sequential(nn.Linear(dim, 32), nn.Tanh(), nn.Linear(32, 1))
        self.understand = nn.Sequential(nn.Linear(dim, 32), nn.ReLU(), nn.Linear(32, classes))
        self.register_buffer("usual", torch.tensor(-1.1))

    def chance_of(self, logits, drawn):
        ordered = logits.gather(1, drawn)
        rest = logits.logsumexp(1, keepdim=True).expand_as(ordered)
        gone = F.pad(ordered.exp().cumsum(1)[:, :-1], (1, 0))
        return (ordered - torch.log((rest.exp() - gone).clamp_min(1e-6))).sum(1)

    def forward(self, review, stars):
        logits = self.choose(review).squeeze(-1)
        keys = logits.detach()
        if self.training:
            keys = keys - torch.log(torch.empty_like(keys).exponential_())
        drawn = keys.topk(self.words, dim=1).indices
        read = review.gather(1, drawn.unsqueeze(-1).expand(-1, -1, review.shape[-1])).mean(1)
        loss = F.cross_entropy(self.understand(read), stars, reduction="none")
        reward = -loss.detach()
        policy = -((reward - self.usual) * self.chance_of(logits, drawn)).mean()
        if self.training:
            with torch.no_grad():
                self.usual.lerp_(reward.mean(), 0.1)
        return loss.mean() + policy, read


def example():
    torch.manual_seed(2)
    return RewardedWords(), (torch.randn(4, 14, 32), torch.tensor([0, 2, 1, 2]))
