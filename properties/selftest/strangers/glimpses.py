"""The most telling places of a map are found on it and looked at once more in a finer one."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Glimpses(nn.Module):
    def __init__(self, channels=16, glimpses=6):
        super().__init__()
        self.glimpses = glimpses
        self.finer = nn.Conv2d(3, channels, 3, padding=1)
        self.coarse = nn.Conv2d(3, channels, 4, stride=4)
        self.telling = nn.Conv2d(channels, 1, 1)

    def forward(self, picture):
        finer, coarse = self.finer(picture), self.coarse(picture)
        height, width = coarse.shape[-2:]
        telling = self.telling(coarse).flatten(1)
        weight, place = telling.softmax(dim=1).topk(self.glimpses, dim=1)
        down = (place // width + 0.5) / height * 2 - 1
        right = (place % width + 0.5) / width * 2 - 1
        grid = torch.stack([down, right], dim=-1).unsqueeze(1)
        seen = F.grid_sample(finer, grid, align_corners=False).squeeze(2).transpose(1, 2)
        return (seen * weight.unsqueeze(-1)).sum(dim=1)


def example():
    return Glimpses(), (torch.randn(3, 3, 24, 24),)
