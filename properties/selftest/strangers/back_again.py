"""A transformer over the notes of a melody that prunes twice, by a policy that its attention takes."""

import torch.nn as nn
import torch.nn.functional as F


class MaskedLayer(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.read, self.write = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, notes, policy):
        query, key, value = self.read(self.norm(notes)).chunk(3, dim=-1)
        logits = query @ key.transpose(1, 2) / key.shape[-1] ** 0.5
        grown = (logits - logits.amax(dim=-1, keepdim=True)).exp() * policy.unsqueeze(1)
        weight = grown / (grown.sum(dim=-1, keepdim=True) + 1e-6)
        return notes + self.write(weight @ value)


class MelodyEncoder(nn.Module):
    def __init__(self, dim=32, stages=2):
        super().__init__()
        self.layers = nn.ModuleList(MaskedLayer(dim) for _ in range(stages))
        self.judges = nn.ModuleList(nn.Linear(dim, 2) for _ in range(stages))

    def forward(self, notes):
        policy = notes.new_ones(notes.shape[:2])
        for layer, judge in zip(self.layers, self.judges, strict=True):
            logits = judge(notes)
            fresh = F.gumbel_softmax(logits, hard=True) if self.training else F.one_hot(logits.argmax(-1), 2).float()
            policy = fresh[..., 0]
            notes = layer(notes, policy)
        return (notes * policy.unsqueeze(-1)).sum(dim=1) / policy.sum(dim=1, keepdim=True).clamp_min(1.0)
