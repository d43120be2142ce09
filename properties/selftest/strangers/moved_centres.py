"""Points of a cloud: the chosen ones are centres, and each is moved to the mean of the points nearest to it."""

import torch
import torch.nn as nn


class MovedCentres(nn.Module):
    def __init__(self, dim=16, centres=6):
        super().__init__()
        self.centres = centres
        self.lift = nn.Linear(3, dim)
        self.worth = nn.Linear(dim, 1)
        self.read = nn.Linear(dim, dim)

    def forward(self, cloud):
        points = torch.relu(self.lift(cloud))
        worth = self.worth(points).squeeze(-1)
        soft = worth.softmax(dim=-1)
        index = worth.topk(self.centres, dim=-1).indices
        decision = torch.zeros_like(soft).scatter(1, index, 1.0) + (soft - soft.detach())
        centre = torch.take_along_dim(points, index.unsqueeze(-1), dim=1)
        with torch.no_grad():
            place = torch.take_along_dim(cloud, index.unsqueeze(-1), dim=1)
            home = torch.cdist(cloud, place).argmin(dim=-1)
        home = home.unsqueeze(-1).expand_as(points)
        centre = centre.scatter_reduce(1, home, points, reduce="mean", include_self=False)
        return self.read(centre * decision.gather(1, index).unsqueeze(-1))


def example():
    return MovedCentres(), (torch.randn(3, 25, 3),)
