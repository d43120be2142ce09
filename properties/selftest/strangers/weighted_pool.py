"""One vector for a set: softmax attention, cut to the best members and brought back to a sum of one."""

import torch
import torch.nn as nn


class WeightedPool(nn.Module):
    def __init__(self, in_features=64, out_features=32, keep_ratio=0.4, tau=1.0):
        super().__init__()
        self.keep_ratio = keep_ratio
        self.tau = tau
        self.importance = nn.Sequential(nn.Linear(in_features, 32), nn.ReLU(), nn.Linear(32, 1))
        self.attend = nn.Linear(in_features, 1)
        self.project = nn.Linear(in_features, out_features)

    def decide(self, importance):
        n = importance.shape[1]
        k = max(1, int(n * self.keep_ratio))
        _, order = torch.sort(importance, dim=1, descending=True)
        top = torch.zeros_like(importance)
        top.scatter_(1, order[:, :k], 1.0)
        if self.training:
            gumbel = torch.distributions.Gumbel(0.0, 1.0).sample(importance.shape).to(importance)
            importance = importance + gumbel
        relaxed = torch.softmax(importance / self.tau, dim=1)
        return top + (relaxed - relaxed.detach())

    def forward(self, members):
        importance = self.importance(members).squeeze(-1)
        decision = self.decide(importance)
        weights = torch.softmax(self.attend(members).squeeze(-1), dim=1) * decision
        weights = weights / weights.sum(dim=1, keepdim=True)
        pooled = torch.bmm(weights.unsqueeze(1), members).squeeze(1)
        return self.project(pooled), weights
