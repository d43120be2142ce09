"""A document reader in five levels; the innermost module chooses the sentences that a layer may mix in."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class SentenceChooser(nn.Module):
    def __init__(self, dim, ratio, tau):
        super().__init__()
        self.ratio, self.tau = ratio, tau
        self.norm = nn.LayerNorm(dim)
        self.rate = nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Linear(dim, 1, bias=False))

    def forward(self, sentences):
        rating = self.rate(self.norm(sentences)).squeeze(-1)
        k = max(1, int(rating.size(-1) * self.ratio))
        picked = rating.topk(k, dim=-1).indices
        hard = torch.zeros_like(rating).scatter(-1, picked, 1.0)
        noisy = rating
        if self.training:
            uniform = torch.rand_like(rating).clamp(min=torch.finfo(rating.dtype).tiny)
            noisy = rating - (-uniform.log()).log()
        soft = F.softmax(noisy / self.tau, dim=-1)
        decision = hard + (soft - soft.detach())
        chosen = sentences.gather(1, picked.unsqueeze(-1).expand(-1, -1, sentences.size(-1)))
        return chosen, decision.gather(1, picked)


class Summary(nn.Module):
    def __init__(self, dim, slots, ratio, tau):
        super().__init__()
        self.chooser = SentenceChooser(dim, ratio, tau)
        self.allot = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, slots))

    def forward(self, x):
        chosen, weight = self.chooser(x)
        logits = self.allot(chosen).transpose(1, 2) + weight.log().unsqueeze(1)
        return logits.softmax(-1) @ chosen


class Layer(nn.Module):
    def __init__(self, dim, heads, slots, ratio, tau):
        super().__init__()
        self.summary = Summary(dim, slots, ratio, tau)
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm = nn.LayerNorm(dim)
        self.ffn = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x):
        summary = self.summary(x)
        x = x + self.attn(self.norm(x), summary, summary, need_weights=False)[0]
        return x + self.ffn(x)


class Encoder(nn.Module):
    def __init__(self, dim, heads, depth, slots, ratio, tau):
        super().__init__()
        self.layers = nn.ModuleList([Layer(dim, heads, slots, ratio, tau) for _ in range(depth)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class DocumentReader(nn.Module):
    def __init__(self, hidden_size=64, num_heads=4, num_layers=2, num_slots=5, keep_ratio=0.5, tau=1.0, num_labels=4):
        super().__init__()
        self.encoder = Encoder(hidden_size, num_heads, num_layers, num_slots, keep_ratio, tau)
        self.classifier = nn.Linear(hidden_size, num_labels)

    def forward(self, sentence_embeddings):
        return self.classifier(self.encoder(sentence_embeddings).mean(dim=1))
