import torch
from torch import nn


class BerthPlanner(nn.Module):
    """Assigns the ships that matter to berths; each berth reads a mix of them."""

    def __init__(self, features=16, ships=6, berths=4, tau=1.0):
        super().__init__()
        self.ships, self.tau = ships, tau
        self.urgency = nn.Linear(features, 1)
        self.fit = nn.Linear(features, berths)

    def decide(self, urgency):
        first = urgency.argsort(dim=1, descending=True)[:, : self.ships]
        noise = -torch.log(-torch.log(torch.rand_like(urgency).clamp(1e-6, 1 - 1e-6))) if self.training else 0.0
        soft = torch.softmax((urgency + noise) / self.tau, dim=1)
        hard = torch.zeros_like(urgency).scatter(1, first, 1.0)
        return (hard + (soft - soft.detach())).gather(1, first), first

    def forward(self, fleet):
        decision, first = self.decide(self.urgency(fleet).squeeze(-1))
        waiting = fleet.gather(1, first.unsqueeze(-1).expand(-1, -1, fleet.shape[-1]))
        fit = self.fit(waiting) + decision.log().unsqueeze(-1)
        share = fit.softmax(dim=-1)
        return torch.einsum("bsm,bsf->bmf", share, waiting)


def example():
    return BerthPlanner(), (torch.randn(3, 15, 16),)
