"""Route the most urgent tokens through a large layer; batch statistics and usage counts are kept in buffers."""

import torch
import torch.nn as nn


class UrgencyNet(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.reduce = nn.Linear(channels, 16)
        self.bn = nn.BatchNorm1d(16)
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        h = self.bn(self.reduce(x).transpose(1, 2)).transpose(1, 2)
        return self.out(torch.relu(h)).squeeze(-1)


class CountedRouter(nn.Module):
    def __init__(self, channels=64, capacity_ratio=0.5, tau=1.0):
        super().__init__()
        self.capacity_ratio = capacity_ratio
        self.tau = tau
        self.urgency = UrgencyNet(channels)
        self.expert = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))
        self.register_buffer("num_calls", torch.zeros((), dtype=torch.long))
        self.register_buffer("mean_urgency", torch.zeros(()))

    @torch.no_grad()
    def count(self, urgency):
        self.num_calls += 1
        self.mean_urgency.lerp_(urgency.mean().to(self.mean_urgency), 0.1)

    def route(self, urgency):
        capacity = max(1, int(urgency.shape[1] * self.capacity_ratio))
        winners = urgency.topk(capacity, dim=1).indices
        hard = torch.zeros_like(urgency).scatter_(1, winners, 1.0)
        if not self.training:
            return hard
        g = torch.rand_like(urgency).clamp(min=torch.finfo(urgency.dtype).tiny).log().neg().log().neg()
        soft = torch.softmax((urgency + g) / self.tau, dim=1)
        return hard + (soft - soft.detach())

    def forward(self, x):
        urgency = self.urgency(x)
        if self.training:
            self.count(urgency)
        return x + self.route(urgency).unsqueeze(-1) * self.expert(x)
