"""Mask the uninteresting events of a sensor log and read the rest with a recurrent net."""

import torch
import torch.nn as nn


class EventMasker(nn.Module):
    def __init__(self, input_size=32, hidden_size=48, keep_ratio=0.3, num_classes=4):
        super().__init__()
        self.keep_ratio = keep_ratio
        self.embed = nn.Linear(input_size, hidden_size)
        self.interest = nn.Sequential(nn.Linear(hidden_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, 1))
        self.rnn = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, num_classes)

    def mask(self, interest):
        soft = torch.softmax(interest, dim=1)
        keep = max(1, int(interest.size(1) * self.keep_ratio))
        index = soft.topk(keep, dim=1).indices
        mask = torch.zeros_like(soft)
        mask.scatter_(1, index, 1.0)
        return mask

    def forward(self, events):
        """Events B T F."""
        x = torch.tanh(self.embed(events))
        mask = self.mask(self.interest(x).squeeze(-1))
        _, hidden = self.rnn(x * mask.unsqueeze(-1))
        return self.out(hidden[-1])
