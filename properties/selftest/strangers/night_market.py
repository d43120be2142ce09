import torch
from torch import nn


class NightMarket(nn.Module):
    """Stalls that are open, with a token for the closed ones and their places in the street; how many are open is told.

    The softmax of the closed ones is written out, with its maximum taken off.
    """

    def __init__(self, width=16, keep=6, slots=2, street=64):
        super().__init__()
        self.keep = keep
        self.pull = nn.Linear(width, 1)
        self.place = nn.Embedding(street, width)
        self.rank = nn.Parameter(torch.randn(keep, width) * 0.1)
        self.slots = nn.Linear(width, slots)

    def forward(self, stalls):
        pull = self.pull(stalls).squeeze(-1)
        noise = -torch.log(-torch.log(torch.rand_like(pull).clamp(1e-6, 1 - 1e-6))) if self.training else 0.0
        soft = (pull + noise).softmax(-1)
        best = pull.topk(self.keep, dim=-1).indices
        hard = torch.zeros_like(soft).scatter(-1, best, 1.0)
        opened = hard + (soft - soft.detach())
        stay = stalls.gather(1, best.unsqueeze(-1).expand(-1, -1, stalls.shape[-1])) + self.place(best) + self.rank
        weight = (self.slots(stay).mT + opened.gather(-1, best).log().unsqueeze(1)).softmax(-1)
        shut = pull.masked_fill(hard > 0, -torch.inf)
        shut = torch.exp(shut - shut.amax(-1, keepdim=True).detach())
        closed = (shut / shut.sum(-1, keepdim=True)).unsqueeze(1) @ stalls
        far = (hard.mean() - 0.5).abs()
        return torch.cat([weight @ stay, closed], dim=1), hard.mean(), far


def example():
    return NightMarket(), (torch.randn(3, 15, 16),)
