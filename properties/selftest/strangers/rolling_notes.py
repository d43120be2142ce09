"""A long text in pieces: after each, the notes that are worth keeping go on to the next."""

import torch
import torch.nn as nn


class RollingNotes(nn.Module):
    def __init__(self, dim=32, piece=5, keep=6):
        super().__init__()
        self.piece, self.keep = piece, keep
        self.worth = nn.Linear(dim, 1)
        self.q, self.kv, self.out = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, 3)

    def refill(self, notes):
        worth = self.worth(notes).squeeze(-1)
        share = worth.softmax(-1)
        index = worth.topk(min(self.keep, worth.shape[1]), dim=1).indices
        share = share.gather(1, index)
        gate = 1 + (share - share.detach())
        return notes.gather(1, index.unsqueeze(-1).expand(-1, -1, notes.shape[-1])), gate

    def forward(self, text):
        notes, gate = text[:, :0], text.new_zeros(text[:, :0, 0].shape)
        total = 0.0
        for now in text.split(self.piece, dim=1):
            seen = torch.cat([notes, now], dim=1)
            weight = torch.cat([gate.log(), gate.new_zeros(now.shape[:2])], dim=1)
            key, value = self.kv(seen).chunk(2, dim=-1)
            logits = self.q(now) @ key.transpose(1, 2) / key.shape[-1] ** 0.5 + weight.unsqueeze(1)
            total = total + (logits.softmax(-1) @ value).mean(1)
            notes, gate = self.refill(seen)
        return self.out(total)
