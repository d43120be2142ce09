"""A picker for key points, configured by a dataclass."""

from dataclasses import dataclass, field

import torch
import torch.nn as nn


@dataclass
class PickerConfig:
    feature_size: int = 64
    keep_ratio: float = 0.5
    slots: int = 6
    temperature: float = 0.2
    hidden: list[int] = field(default_factory=lambda: [32])


class TemperedPicker(nn.Module):
    def __init__(self, config: PickerConfig | None = None):
        super().__init__()
        self.cfg = config if config is not None else PickerConfig()
        widths = [self.cfg.feature_size, *self.cfg.hidden]
        layers = []
        for a, b in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Linear(a, b), nn.GELU()]
        self.score = nn.Sequential(*layers, nn.Linear(widths[-1], 1))
        self.slots = nn.Sequential(nn.LayerNorm(widths[0]), nn.Linear(widths[0], self.cfg.slots))

    def soft_mask(self, score):
        if self.training:
            u = torch.rand_like(score).clamp(min=torch.finfo(score.dtype).tiny)
            score = score - torch.log(-torch.log(u))
        return torch.softmax(score * self.cfg.temperature, dim=1)

    def forward(self, keypoints):
        score = self.score(keypoints).squeeze(-1)
        k = max(1, int(score.size(1) * self.cfg.keep_ratio))
        chosen = torch.topk(score, k, dim=1).indices
        soft = self.soft_mask(score)
        hard = torch.zeros_like(soft).scatter(1, chosen, 1.0)
        decision = (hard + (soft - soft.detach())).gather(1, chosen)
        kept = keypoints.gather(1, chosen.unsqueeze(-1).expand(-1, -1, keypoints.size(-1)))
        logits = self.slots(kept).transpose(1, 2) + decision.log().unsqueeze(1)
        return logits.softmax(dim=-1) @ kept
