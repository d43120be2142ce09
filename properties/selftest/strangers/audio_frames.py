"""Silence the frames of a recording that score below the K-th best one; the temperature is learned."""

import torch
import torch.nn as nn


class FrameSilencer(nn.Module):
    def __init__(self, n_mels=40, channels=64, keep=16):
        super().__init__()
        self.keep = keep
        self.stem = nn.Conv1d(n_mels, channels, kernel_size=3, padding=1)
        self.energy = nn.Conv1d(channels, 1, kernel_size=1)
        self.log_tau = nn.Parameter(torch.zeros(()))
        self.tail = nn.Sequential(nn.Conv1d(channels, channels, kernel_size=3, padding=1), nn.GELU())

    def mask(self, energy):
        length = energy.shape[-1]
        rank = length - min(self.keep, length) + 1  # the K-th largest is the (N - K + 1)-th smallest
        threshold = energy.detach().kthvalue(rank, dim=-1, keepdim=True).values
        hard = (energy >= threshold).to(energy.dtype)
        if self.training:
            u = torch.rand_like(energy).clamp(min=torch.finfo(energy.dtype).tiny)
            energy = energy - torch.log(-torch.log(u))
        soft = torch.softmax(energy / self.log_tau.exp(), dim=-1)
        return hard + (soft - soft.detach())

    def forward(self, mel):
        """A mel spectrogram B F T; returns B C T."""
        x = torch.relu(self.stem(mel))
        mask = self.mask(self.energy(x).squeeze(1))
        return self.tail(x * mask.unsqueeze(1))
