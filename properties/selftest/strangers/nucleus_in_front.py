"""Frames that hold most of the probability together."""

import torch.nn as nn


class FrameNucleus(nn.Module):
    def __init__(self, dim=32, mass=0.7):
        super().__init__()
        self.mass = mass
        self.interest = nn.Linear(dim, 1)

    def forward(self, frames):
        share = (3 * self.interest(frames).squeeze(-1)).softmax(dim=-1)
        falling, _ = share.sort(dim=-1, descending=True)
        reached = falling.cumsum(dim=-1) - falling
        within = (reached < self.mass).to(share.dtype)
        decision = within + (share - share.detach())
        return (frames * decision.unsqueeze(-1)).sum(dim=1) / decision.sum(dim=1, keepdim=True)
