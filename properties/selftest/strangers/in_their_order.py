"""Parts sorted by their score, with D in the same order."""

import torch
import torch.nn as nn


class InTheirOrder(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.weigh = nn.Linear(dim, 1)

    def forward(self, parts):
        weight = self.weigh(parts).squeeze(-1)
        ranked, order = weight.sort(dim=1, descending=True)
        soft = weight.softmax(dim=-1).gather(1, order)
        hard = (torch.arange(order.shape[1], device=order.device) < self.keep).to(soft.dtype).expand_as(soft)
        decision = hard + (soft - soft.detach())
        parts = torch.take_along_dim(parts, order.unsqueeze(-1), dim=1)
        return (parts * decision.unsqueeze(-1))[:, : self.keep]
