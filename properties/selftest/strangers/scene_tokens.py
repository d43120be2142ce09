"""Turn the feature map of a scene into a few tokens, plus one that stands for the background."""

import torch
import torch.nn as nn


class SceneTokens(nn.Module):
    dim = 64
    keep_ratio = 0.5
    slots = 6
    tau = 1.0

    def __init__(self):
        super().__init__()
        self.objectness = nn.Sequential(nn.Linear(self.dim, 32), nn.GELU(), nn.Linear(32, 1))
        self.assignment = nn.Sequential(nn.LayerNorm(self.dim), nn.Linear(self.dim, self.slots))

    def split(self, score):
        order = score.argsort(dim=1, descending=True)
        k = max(1, int(score.size(1) * self.keep_ratio))
        return order[:, :k], order[:, k:]

    def decision(self, score, keep):
        noise = 0.0
        if self.training:
            noise = -torch.log(-torch.log(torch.rand_like(score).clamp(min=torch.finfo(score.dtype).tiny)))
        soft = torch.softmax((score + noise) / self.tau, dim=1)
        hard = torch.zeros_like(soft).scatter(1, keep, 1.0)
        return hard + (soft - soft.detach())

    def pool(self, tokens, policy=None):
        logits = self.assignment(tokens).transpose(1, 2)  # B M K
        if policy is not None:
            logits = logits + policy.log().unsqueeze(1)
        return logits.softmax(dim=-1) @ tokens

    def forward(self, feature_map):
        """A feature map B C H W; returns a dictionary."""
        x = feature_map.flatten(2).transpose(1, 2)
        score = self.objectness(x).squeeze(-1)
        keep, drop = self.split(score)
        decision = self.decision(score, keep)
        objects = x.gather(1, keep.unsqueeze(-1).expand(-1, -1, x.size(-1)))
        others = x.gather(1, drop.unsqueeze(-1).expand(-1, -1, x.size(-1)))
        background = score.gather(1, drop).softmax(dim=1).unsqueeze(1) @ others
        policy = decision.gather(1, keep)
        tokens = torch.cat([self.pool(objects), background], dim=1)
        return {"tokens": tokens, "kept": decision.detach(), "indices": keep}
