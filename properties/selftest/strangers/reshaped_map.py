"""Places of a feature map, of which the most telling are pooled."""

import torch
import torch.nn as nn


class MapPooling(nn.Module):
    def __init__(self, channels=3, dim=24, keep=6):
        super().__init__()
        self.keep = keep
        self.stem = nn.Conv2d(channels, dim, kernel_size=4, stride=4)
        self.telling = nn.Linear(dim, 1)

    def forward(self, image):
        grid = self.stem(image)
        batch, dim = grid.shape[:2]
        places = grid.reshape(batch, -1, dim)
        score = self.telling(places).squeeze(-1)
        soft = score.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, score.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        return (places * decision.unsqueeze(-1)).sum(dim=1) / self.keep


def example():
    return MapPooling(), (torch.randn(3, 3, 16, 20),)
