"""Camera and lidar tokens, each chosen in the light of the other and pooled to slots."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Chooser(nn.Module):
    def __init__(self, dim, keep, tau):
        super().__init__()
        self.keep, self.tau = keep, tau
        self.net = nn.Sequential(nn.Linear(2 * dim, dim), nn.ReLU(), nn.Linear(dim, 1))

    def forward(self, tokens, other):
        joint = torch.cat([tokens, other.unsqueeze(1).expand_as(tokens)], dim=-1)
        score = self.net(joint).squeeze(-1)
        index = score.topk(min(self.keep, score.size(1)), dim=1).indices
        if self.training:
            score = score - torch.log(-torch.log(torch.rand_like(score).clamp(min=torch.finfo(score.dtype).tiny)))
        soft = F.softmax(score / self.tau, dim=1)
        decision = torch.zeros_like(soft).scatter(1, index, 1.0) + (soft - soft.detach())
        return index, decision.gather(1, index)


class SlotPool(nn.Module):
    def __init__(self, dim, slots):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.query = nn.Parameter(torch.randn(slots, dim) / dim**0.5)

    def forward(self, tokens, index, policy):
        kept = tokens.gather(1, index.unsqueeze(-1).expand(-1, -1, tokens.size(-1)))
        logits = torch.einsum("mc,bkc->bmk", self.query, self.norm(kept)) + policy.log().unsqueeze(1)
        return torch.bmm(logits.softmax(dim=-1), kept)


class SensorFusion(nn.Module):
    def __init__(self, dim=64, keep=12, slots=4, tau=1.0):
        super().__init__()
        self.choose_camera, self.choose_lidar = Chooser(dim, keep, tau), Chooser(dim, keep, tau)
        self.pool_camera, self.pool_lidar = SlotPool(dim, slots), SlotPool(dim, slots)

    def forward(self, camera, lidar):
        """Two tensors B N C with the same N; returns one of each."""
        camera_index, camera_policy = self.choose_camera(camera, lidar.mean(1))
        lidar_index, lidar_policy = self.choose_lidar(lidar, camera.mean(1))
        camera_slots = self.pool_camera(camera, camera_index, lidar_policy)
        lidar_slots = self.pool_lidar(lidar, lidar_index, camera_policy)
        return camera_slots, lidar_slots
