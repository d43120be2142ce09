"""The best two patches of each window of a picture, so that no corner is left out."""

import torch
import torch.nn as nn


class BestOfEachWindow(nn.Module):
    def __init__(self, dim=32, window=4, best=2):
        super().__init__()
        self.window, self.best = window, best
        self.merit = nn.Linear(dim, 1)
        nn.init.zeros_(self.merit.weight)  # all are alike in the beginning
        self.place = nn.Parameter(0.1 * torch.randn(16))

    def forward(self, x):
        merit = self.merit(x).squeeze(-1) + self.place[: x.size(1)]
        windows = merit.unflatten(1, (-1, self.window))
        hard = torch.zeros_like(windows).scatter(-1, windows.topk(self.best, dim=-1).indices, 1.0).flatten(1)
        noise = -torch.log(torch.empty_like(merit).exponential_()) if self.training else 0.0
        soft = torch.softmax(merit + noise, dim=-1)
        return x * (hard + (soft - soft.detach())).unsqueeze(-1)
