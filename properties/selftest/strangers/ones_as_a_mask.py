"""Questions that read the facts which are admitted."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class OnesAsAMask(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.weigh = nn.Linear(dim, 1)
        self.ask = nn.Linear(dim, dim)

    def forward(self, facts):
        weight = self.weigh(facts).squeeze(-1)
        soft = weight.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, weight.topk(self.keep, dim=1).indices, 1.0)
        admitted = hard + (soft - soft.detach())
        query = self.ask(facts)
        return F.scaled_dot_product_attention(query, facts, facts, attn_mask=admitted.unsqueeze(1))
