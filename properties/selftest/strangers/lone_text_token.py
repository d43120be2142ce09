"""One expert a token, weighed by its share of all; tokens read a text, of which there may be a single token."""

import torch
import torch.nn as nn


class SharedExpert(nn.Module):
    def __init__(self, width=24, experts=4):
        super().__init__()
        self.router = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList([nn.Sequential(nn.Linear(width, width), nn.GELU()) for _ in range(experts)])
        self.ask = nn.Linear(width, width)

    def forward(self, tokens, text):
        read = (self.ask(tokens) @ text.transpose(1, 2)).softmax(dim=-1)
        flat = (tokens + read @ text).flatten(0, 1)
        chances = self.router(flat).softmax(dim=-1)
        weight, expert = chances.topk(1, dim=-1)
        even = weight / weight.sum(dim=-1, keepdim=True)
        mixed = torch.zeros_like(flat)
        for number, network in enumerate(self.experts):
            row, column = torch.where(expert == number)
            share = even[row, column] * weight[row, column]
            mixed = mixed.index_add(0, row, network(flat[row]) * share.unsqueeze(-1))
        return tokens + mixed.view_as(tokens), chances.view(*tokens.shape[:2], -1)


def example():
    return SharedExpert(), (torch.randn(3, 8, 24), torch.randn(3, 1, 24))
