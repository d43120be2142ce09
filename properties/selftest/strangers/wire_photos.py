import torch
import torch.nn.functional as F
from torch import nn


class PhotoDesk(nn.Module):
    def __init__(self, dim: int = 20, keep: int = 5, captions: int = 2, heat: float = 0.7):
        super().__init__()
        self.keep, self.heat = keep, heat
        self.news = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 1))
        self.layout = nn.Linear(dim, captions)

    def shake(self, value: torch.Tensor) -> torch.Tensor:
        if self.training:
            return value - torch.empty_like(value).exponential_().clamp_min(1e-9).log()
        return value

    def forward(self, crops: torch.Tensor) -> dict[str, torch.Tensor]:
        value = self.shake(self.news(crops)[..., 0])
        taken = torch.topk(value, self.keep).indices
        soft = F.softmax(value / self.heat, dim=-1)
        picked = F.one_hot(taken, crops.shape[1]).sum(1) + (soft - soft.detach())
        rows = torch.arange(len(crops))[:, None]
        kept = crops[rows, taken]
        plan = self.layout(kept).mT + picked[rows, taken].log()[:, None]
        return {"captions": plan.softmax(-1) @ kept, "taken": taken}


def example():
    return PhotoDesk(), (torch.randn(4, 16, 20),)
