"""Frames of a recording: those that are not chosen are averaged into the chosen one that sounds most like them."""

import torch
import torch.nn as nn


class FrameCondenser(nn.Module):
    def __init__(self, features=24, chosen=7, classes=5):
        super().__init__()
        self.chosen = chosen
        self.embed = nn.Linear(features, features)
        self.salience = nn.Linear(features, 1)
        self.classify = nn.Linear(features, classes)

    def choose(self, frames):
        salience = self.salience(frames).squeeze(-1)
        soft = salience.softmax(dim=-1)
        order = salience.argsort(dim=-1, descending=True)
        best, rest = order[:, : self.chosen], order[:, self.chosen :]
        hard = torch.zeros_like(soft).scatter(1, best, 1.0)
        return hard + (soft - soft.detach()), best, rest

    def condense(self, best, rest):
        nearest = torch.cdist(rest.detach(), best.detach()).argmin(dim=-1)
        index = nearest.unsqueeze(-1).expand_as(rest)
        mean = torch.zeros_like(best).scatter_reduce(1, index, rest, reduce="mean", include_self=False)
        has = torch.zeros(best.shape[:2], dtype=torch.bool).scatter(1, nearest, True)
        condensed = best.clone()
        condensed[has] = mean[has]
        return condensed

    def forward(self, frames):
        frames = frames + torch.tanh(self.embed(frames))
        decision, best, rest = self.choose(frames)
        pick = torch.arange(len(frames)).unsqueeze(1)
        condensed = self.condense(frames[pick, best], frames[pick, rest])
        weight = decision[pick, best]
        return self.classify((condensed * weight.unsqueeze(-1)).mean(dim=1))


def example():
    return FrameCondenser(), (torch.randn(3, 20, 24),)
