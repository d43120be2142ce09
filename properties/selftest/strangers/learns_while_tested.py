"""A gate that opens above a running mean of the highest scores."""

import torch
import torch.nn as nn


class LearnsWhileTested(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.weigh = nn.Linear(dim, 1)
        self.register_buffer("usual", torch.zeros(()))

    def forward(self, beats):
        weight = self.weigh(beats).squeeze(-1)
        soft = torch.sigmoid(weight - self.usual)
        hard = (weight > self.usual).to(weight.dtype)
        with torch.no_grad():
            self.usual += 0.3 * (weight.amax() - self.usual)
        return beats * (hard + (soft - soft.detach())).unsqueeze(-1)
