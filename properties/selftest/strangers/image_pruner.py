"""Classify a picture from its best patches; their number follows from the size of the picture."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class PrunerConfig:
    image_size: int = 32
    patch_size: int = 4
    in_chans: int = 3
    hidden_size: int = 48
    keep_fraction: float = 0.25
    num_labels: int = 10
    tau: float = 1.0

    @property
    def num_patches(self) -> int:
        return (self.image_size // self.patch_size) ** 2


class ImagePruner(nn.Module):
    def __init__(self, config: PrunerConfig | None = None):
        super().__init__()
        self.config = config = config or PrunerConfig()
        size = config.hidden_size
        self.patch_embed = nn.Conv2d(config.in_chans, size, config.patch_size, stride=config.patch_size)
        self.pos_embed = nn.Parameter(torch.randn(1, config.num_patches, size) * 0.02)
        self.scorer = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, size // 2), nn.ReLU(), nn.Linear(size // 2, 1))
        self.encoder = nn.TransformerEncoderLayer(size, 4, size * 2, dropout=0.0, batch_first=True, norm_first=True)
        self.classifier = nn.Linear(size, config.num_labels)

    def choose(self, x: Tensor) -> Tensor:
        score = self.scorer(x).squeeze(-1)
        keep = max(1, int(x.shape[1] * self.config.keep_fraction))
        index = score.topk(keep, dim=1, sorted=False).indices
        soft = self.sample(score)
        hard = torch.zeros_like(soft).scatter(1, index, 1.0)
        decision = hard + (soft - soft.detach())
        x = x * decision.unsqueeze(-1)
        return x.gather(1, index.unsqueeze(-1).expand(-1, -1, x.shape[-1]))

    def sample(self, score: Tensor) -> Tensor:
        if self.training:
            noise = torch.rand_like(score).clamp(min=torch.finfo(score.dtype).tiny)
            score = score - noise.log().neg().log()
        return torch.softmax(score / self.config.tau, dim=1)

    def forward(self, pixel_values: Tensor) -> Tensor:
        x = self.patch_embed(pixel_values).flatten(2).transpose(1, 2) + self.pos_embed  # B N C
        return self.classifier(self.encoder(self.choose(x)).mean(dim=1))
