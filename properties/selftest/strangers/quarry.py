import torch
from torch import nn


class Quarry(nn.Module):
    """Drill cores, a few of which are looked at; what is left goes into one more row."""

    def __init__(self, minerals=18, cores=5, rows=2):
        super().__init__()
        self.cores = cores
        self.grade = nn.Linear(minerals, 1)
        self.rows = nn.Linear(minerals, rows)

    def forward(self, field):
        grade = self.grade(field)
        flat = grade.squeeze(-1)
        order = flat.argsort(dim=1, descending=True)
        rich, poor = order[:, : self.cores], order[:, self.cores :]
        shaken = flat - torch.log(-torch.log(torch.rand_like(flat).clamp(1e-6, 1 - 1e-6))) if self.training else flat
        soft = shaken.softmax(1)
        taken = (torch.zeros_like(flat).scatter(1, rich, 1.0) + (soft - soft.detach())).gather(1, rich)
        samples = torch.take_along_dim(field, rich.unsqueeze(-1), dim=1)
        mixed = (self.rows(samples).mT + taken.log().unsqueeze(1)).softmax(-1) @ samples
        share = torch.take_along_dim(grade, poor.unsqueeze(-1), dim=1).softmax(-1)
        tailings = (share * torch.take_along_dim(field, poor.unsqueeze(-1), dim=1)).sum(1, keepdim=True)
        return torch.cat([mixed, tailings], dim=1)


def example():
    return Quarry(), (torch.randn(3, 17, 18),)
