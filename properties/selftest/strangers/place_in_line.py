"""Keep the frames that rank first."""

import torch
import torch.nn as nn


class PlaceInLine(nn.Module):
    def __init__(self, width=40, frames=18, share=0.5):
        super().__init__()
        self.count = int(frames * share)
        self.judge = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
        self.head = nn.Linear(width, 7)

    def forward(self, frames):
        merit = self.judge(frames).squeeze(-1)
        place = merit.argsort(dim=1, descending=True).argsort(dim=1)
        first = place[:, : self.count]
        wish = torch.softmax(merit, dim=1)
        taken = torch.zeros_like(wish).scatter(1, first, 1.0)
        taken = taken + (wish - wish.detach())
        picked = (frames * taken.unsqueeze(-1)).gather(1, first.unsqueeze(-1).expand(-1, -1, frames.size(-1)))
        return self.head(picked).mean(1)
