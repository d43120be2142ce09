import torch
from torch import nn


class QuietRoom(nn.Module):
    """Voices that are heard; the pooling is differentiated where what comes in is, to save memory in evaluation."""

    def __init__(self, width=16, keep=5, slots=2):
        super().__init__()
        self.keep = keep
        self.hear = nn.Linear(width, 1)
        self.slots = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, slots))

    def forward(self, voices):
        heard = self.hear(voices).squeeze(-1)
        noise = -torch.log(-torch.log(torch.rand_like(heard).clamp(1e-6, 1 - 1e-6))) if self.training else 0.0
        soft = (heard + noise).softmax(-1)
        best = heard.topk(self.keep, dim=-1).indices
        keep = torch.zeros_like(soft).scatter(-1, best, 1.0) + (soft - soft.detach())
        near = torch.take_along_dim(voices, best.unsqueeze(-1), dim=1)
        with torch.set_grad_enabled(voices.requires_grad):
            logits = self.slots(near).mT
        return (logits + keep.gather(-1, best).log().unsqueeze(1)).softmax(-1) @ near


def example():
    return QuietRoom(), (torch.randn(3, 14, 16),)
