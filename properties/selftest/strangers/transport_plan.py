"""Points of a cloud by an entropic transport of their scores to "kept" and "dropped": a soft top-K without noise."""

import torch
import torch.nn as nn


def soft_topk(score, keep, blur=0.1, rounds=40):
    low, high = score.detach().amin(-1, keepdim=True), score.detach().amax(-1, keepdim=True)
    score = (score - low) / (high - low + 1e-6)
    anchors = torch.tensor([0.0, 1.0], device=score.device)
    logits = -((score.unsqueeze(-1) - anchors) ** 2) / blur
    count = score.shape[-1]
    mass = torch.tensor([(count - keep) / count, keep / count], device=score.device).log()
    u = torch.zeros_like(score)
    for _ in range(rounds):
        v = mass - torch.logsumexp(logits + u.unsqueeze(-1), dim=1)
        u = -torch.logsumexp(logits + v.unsqueeze(1), dim=-1) - torch.tensor(float(count)).log()
    return torch.exp(logits + u.unsqueeze(-1) + v.unsqueeze(1))[..., 1] * count


class TransportPlan(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.score = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 16), nn.ReLU(), nn.Linear(16, 1))
        self.mix = nn.Linear(dim, dim)

    def forward(self, points):
        score = self.score(points).squeeze(-1)
        plan = soft_topk(score, self.keep)
        index = score.topk(self.keep, dim=1).indices
        hard = torch.zeros_like(score).scatter(1, index, 1.0)
        decision = (hard + (plan - plan.detach())).gather(1, index).unsqueeze(-1)
        kept = points.gather(1, index.unsqueeze(-1).expand(-1, -1, points.shape[-1]))
        return self.mix(kept * decision).amax(1)
