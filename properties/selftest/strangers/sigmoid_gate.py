"""Gates that switch tokens off: a token passes when its gate is above one half. How many pass is not fixed."""

import torch
import torch.nn as nn


class TokenGate(nn.Module):
    """Logistic noise while training, none in eval."""

    def __init__(self, dim, temperature=0.66):
        super().__init__()
        self.temperature = temperature
        self.proj = nn.Linear(dim, 1)

    def forward(self, x):
        logits = self.proj(x)  # B N 1
        if self.training:
            u = torch.rand_like(logits).clamp(1e-3, 1 - 1e-3)
            logits = logits + torch.log(u) - torch.log1p(-u)
        prob = torch.sigmoid(logits / self.temperature)
        hard = (prob > 0.5).to(prob.dtype)
        return hard + (prob - prob.detach())


class GatedEncoderLayer(nn.Module):
    """A residual layer whose output is kept only for the tokens that pass."""

    def __init__(self, hidden_dim=64, expansion=2, temperature=0.66):
        super().__init__()
        self.norm = nn.LayerNorm(hidden_dim)
        self.gate = TokenGate(hidden_dim, temperature)
        self.mlp = nn.Sequential(
            nn.Linear(hidden_dim, hidden_dim * expansion),
            nn.GELU(),
            nn.Linear(hidden_dim * expansion, hidden_dim),
        )

    def forward(self, hidden_states):
        gate = self.gate(self.norm(hidden_states))
        return hidden_states + gate * self.mlp(self.norm(hidden_states))
