"""Every token goes to its expert; a balancing loss keeps all of them busy."""

import torch
import torch.nn as nn


class LoneExpert(nn.Module):
    def __init__(self, width=24, experts=4, chosen=1):
        super().__init__()
        self.chosen = chosen
        self.router = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList([nn.Sequential(nn.Linear(width, width), nn.GELU()) for _ in range(experts)])

    def forward(self, tokens):
        flat = tokens.flatten(0, 1)
        chances = self.router(flat).softmax(dim=-1)
        weight, expert = chances.topk(self.chosen, dim=-1)
        weight = weight / weight.sum(dim=-1, keepdim=True)
        mixed = torch.zeros_like(flat)
        for number, network in enumerate(self.experts):
            row, column = torch.where(expert == number)
            mixed = mixed.index_add(0, row, network(flat[row]) * weight[row, column].unsqueeze(-1))
        busy = nn.functional.one_hot(expert, len(self.experts)).float().mean(dim=(0, 1))
        balance = len(self.experts) * (busy * chances.mean(dim=0)).sum()
        return tokens + mixed.view_as(tokens), balance


def example():
    return LoneExpert(), (torch.randn(3, 8, 24),)
