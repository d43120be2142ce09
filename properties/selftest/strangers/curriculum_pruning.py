"""A token classifier that keeps fewer tokens as the epochs pass, in the manner of a Lightning module."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class CurriculumPruning(nn.Module):
    def __init__(self, d_model=64, n_classes=5, start_ratio=0.9, end_ratio=0.3, max_epochs=20, tau=1.0, lr=1e-3):
        super().__init__()
        self.start_ratio, self.end_ratio, self.max_epochs = start_ratio, end_ratio, max_epochs
        self.tau, self.lr = tau, lr
        self.current_epoch = 0
        self.ranker = nn.Sequential(nn.Linear(d_model, 32), nn.Tanh(), nn.Linear(32, 1))
        self.value = nn.Linear(d_model, d_model)
        self.head = nn.Sequential(nn.LayerNorm(d_model), nn.Linear(d_model, n_classes))

    def keep_ratio(self):
        """Cosine from the first ratio to the last."""
        progress = min(1.0, self.current_epoch / self.max_epochs)
        return self.end_ratio + 0.5 * (self.start_ratio - self.end_ratio) * (1 + math.cos(math.pi * progress))

    def select(self, scores):
        k = max(1, math.floor(scores.shape[1] * self.keep_ratio()))
        top = scores.topk(k, dim=1)[1]
        hard = torch.zeros_like(scores)
        hard[torch.arange(len(scores), device=scores.device)[:, None], top] = 1.0
        if not self.training:
            return hard
        uniform = torch.rand_like(scores).clamp(min=torch.finfo(scores.dtype).tiny)
        soft = F.softmax((scores - torch.log(-torch.log(uniform))) / self.tau, dim=1)
        return hard + (soft - soft.detach())

    def forward(self, x):
        mask = self.select(self.ranker(x).squeeze(2))  # B N
        kept = self.value(x) * mask.unsqueeze(2)
        return self.head(kept.sum(dim=1) / mask.detach().sum(dim=1, keepdim=True))

    def training_step(self, batch, batch_idx=0):
        x, y = batch
        return F.cross_entropy(self(x), y)

    def on_train_epoch_end(self):
        self.current_epoch += 1

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.lr)
