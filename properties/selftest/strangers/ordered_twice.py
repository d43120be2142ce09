"""The best layers' worth of tokens are worked on, and all are put back."""

import torch
import torch.nn as nn


class OrderedTwice(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.weigh = nn.Linear(dim, 1)
        self.work = nn.Linear(dim, dim)

    def forward(self, tokens):
        weight = self.weigh(tokens).squeeze(-1)
        soft = weight.softmax(dim=-1)
        order = weight.argsort(dim=1, descending=True)
        hard = torch.zeros_like(soft).scatter(1, order[:, : self.keep], 1.0)
        decision = (hard + (soft - soft.detach())).gather(1, order)
        spread = order.unsqueeze(-1).expand_as(tokens)
        ordered = tokens.gather(1, spread)
        busy = ordered[:, : self.keep]
        busy = busy + self.work(busy) * decision[:, : self.keep].unsqueeze(-1)
        return torch.cat([busy, ordered[:, self.keep :]], dim=1).gather(1, spread)
