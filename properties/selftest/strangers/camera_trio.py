"""Person descriptors from three cameras: each camera keeps the patches that the other two find telling."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class CameraHead(nn.Module):
    def __init__(self, dim, keep_ratio, slots, temperature):
        super().__init__()
        self.keep_ratio = keep_ratio
        self.temperature = temperature
        self.saliency = nn.Sequential(nn.Linear(dim, dim // 4), nn.GELU(), nn.Linear(dim // 4, 1))
        self.to_slots = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, dim // 4), nn.GELU(), nn.Linear(dim // 4, slots)
        )

    def score(self, patches, others):
        own = torch.sigmoid(self.saliency(patches)).flatten(1)
        unit = F.normalize(patches, dim=-1)
        for other in others:
            own = own + 0.5 * (unit * F.normalize(other, dim=-1).unsqueeze(1)).sum(-1)
        return own

    def forward(self, patches, others):
        score = self.score(patches, others)
        total = patches.size(1)
        k = max(1, int(total * self.keep_ratio))
        order = torch.argsort(score, dim=1, descending=True)
        kept, dropped = order[:, :k], order[:, k:]

        perturbed = score
        if self.training:
            perturbed = score - torch.empty_like(score).exponential_().clamp(min=1e-6).log()
        soft = F.softmax(perturbed / self.temperature, dim=1)
        hard = torch.zeros_like(soft).scatter(1, kept, 1.0)
        mask = hard + (soft - soft.detach())

        inside = patches.gather(1, kept.unsqueeze(2).expand(-1, -1, patches.size(2)))
        outside = patches.gather(1, dropped.unsqueeze(2).expand(-1, -1, patches.size(2)))
        logits = self.to_slots(inside).transpose(1, 2) + mask.gather(1, kept).log().unsqueeze(1)
        slots = torch.bmm(logits.softmax(dim=2), inside)
        rest = torch.bmm(score.gather(1, dropped).softmax(dim=1).unsqueeze(1), outside)
        return torch.cat([slots, rest], dim=1)


class CameraTrio(nn.Module):
    def __init__(self, dim=64, keep_ratio=0.5, slots=6, temperature=1.0):
        super().__init__()
        self.visible = CameraHead(dim, keep_ratio, slots, temperature)
        self.near = CameraHead(dim, keep_ratio, slots, temperature)
        self.thermal = CameraHead(dim, keep_ratio, slots, temperature)

    def forward(self, visible, near, thermal):
        v, n, t = visible.mean(dim=1), near.mean(dim=1), thermal.mean(dim=1)
        return self.visible(visible, (n, t)), self.near(near, (v, t)), self.thermal(thermal, (v, n))
