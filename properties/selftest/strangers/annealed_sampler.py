"""Sample the points of a cloud that a shape classifier looks at; fewer points are kept from epoch to epoch."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class AnnealedSampler(nn.Module):
    def __init__(self, in_features=3, hidden=64, num_classes=8, keep=(24, 16, 8), sigma=0.5, tau=0.5):
        super().__init__()
        self.keep = keep
        self.sigma, self.tau = sigma, tau
        self.epoch = 0
        self.lift = nn.Sequential(nn.Linear(in_features, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        self.importance = nn.Linear(hidden, 1)
        self.classify = nn.Linear(hidden, num_classes)

    def on_train_epoch_start(self):
        self.epoch += 1

    def sample(self, score):
        """Explore: the best points of a disturbed score."""
        k = min(self.keep[min(self.epoch, len(self.keep) - 1)], score.shape[1])
        score = score + self.sigma * torch.randn_like(score)
        index = score.topk(k, dim=1).indices
        soft = F.softmax(score / self.tau, dim=1)
        hard = torch.zeros_like(soft).scatter(1, index, 1.0)
        return index, hard + (soft - soft.detach())

    def forward(self, points):
        h = self.lift(points)
        index, decision = self.sample(self.importance(h).squeeze(-1))
        h = (h * decision.unsqueeze(-1)).gather(1, index.unsqueeze(-1).expand(-1, -1, h.shape[-1]))
        return self.classify(h.mean(dim=1))

    def training_step(self, batch, batch_idx=0):
        points, label = batch
        return F.cross_entropy(self(points), label)
