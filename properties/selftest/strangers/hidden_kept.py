"""The words of a caption that a question attends to."""

import torch
import torch.nn as nn


class CaptionAttention(nn.Module):
    def __init__(self, dim=32, keep=5, heads=4):
        super().__init__()
        self.keep = keep
        self.weigh = nn.Linear(dim, 1)
        self.attend = nn.MultiheadAttention(dim, heads, batch_first=True)

    def forward(self, caption, question):
        weight = self.weigh(caption).squeeze(-1)
        soft = weight.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, weight.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        words = caption * decision.unsqueeze(-1)
        said, _ = self.attend(question, words, words, key_padding_mask=hard > 0)
        return said, words


def example():
    return CaptionAttention(), (torch.randn(3, 12, 32), torch.randn(3, 4, 32))
