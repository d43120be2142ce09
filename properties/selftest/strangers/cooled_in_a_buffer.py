"""Two-way Gumbel gates on the words of a page; a buffer counts the steps."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class PageGate(nn.Module):
    def __init__(self, width=32, start=2.0, end=0.05, anneal_steps=4000):
        super().__init__()
        self.start, self.end, self.anneal_steps = start, end, anneal_steps
        self.gate = nn.Linear(width, 2)
        self.read = nn.Linear(width, width)
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    def forward(self, words):
        logits = self.gate(words)
        if not self.training:
            keep = (logits[..., 1] > logits[..., 0]).to(words.dtype)
        else:
            done = self.seen / self.anneal_steps
            tau = float(self.start + (self.end - self.start) * done)
            keep = F.gumbel_softmax(logits, tau=tau, hard=True, dim=-1)[..., 1]
            self.seen += 1
        return self.read(words * keep.unsqueeze(-1))
