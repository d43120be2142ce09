import torch
from torch import nn


class EchoChamber(nn.Module):
    """Voices that carry, each with a chance that is drawn."""

    def __init__(self, width=16, keep=5, slots=2):
        super().__init__()
        self.keep = keep
        self.carry = nn.Linear(width, 1)
        self.slots = nn.Linear(width, slots)

    def chances(self, carry):
        if self.training:
            carry = carry - torch.log(-torch.log(torch.rand_like(carry).clamp(1e-6, 1 - 1e-6)))
        return carry.softmax(dim=-1)

    def forward(self, voices):
        carry = self.carry(voices).squeeze(-1)
        best = carry.topk(self.keep, dim=-1).indices
        hard = torch.zeros_like(carry).scatter(-1, best, 1.0)
        heard = hard + (self.chances(carry) - self.chances(carry).detach())
        near = torch.take_along_dim(voices, best.unsqueeze(-1), dim=1)
        logits = self.slots(near).mT + heard.gather(-1, best).clamp(min=1e-4).log().unsqueeze(1)
        return logits.softmax(-1) @ near


def example():
    return EchoChamber(), (torch.randn(3, 14, 16),)
