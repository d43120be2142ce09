"""A reader of long pages: an encoder has stages, a stage layers, a layer a mixer, and the mixer keeps few words."""

import torch
import torch.nn as nn


class WordScore(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.hidden = nn.Linear(dim, dim // 2)
        self.out = nn.Linear(dim // 2, 1)

    def forward(self, words):
        return self.out(torch.relu(self.hidden(words))).squeeze(-1)


class Mixer(nn.Module):
    """Replace every word by itself plus a mean of the chosen words."""

    def __init__(self, dim, keep, tau):
        super().__init__()
        self.keep, self.tau = keep, tau
        self.score = WordScore(dim)
        self.value = nn.Linear(dim, dim)

    def forward(self, words):
        with torch.no_grad():
            score = self.score(words)
        index = score.topk(min(self.keep, words.size(1)), dim=1).indices
        hard = torch.zeros_like(score).scatter(1, index, 1.0)
        logits = score
        if self.training:
            logits = score - torch.empty_like(score).exponential_().clamp(min=torch.finfo(score.dtype).tiny).log()
        soft = torch.softmax(logits / self.tau, dim=1)
        chosen = hard + (soft - soft.detach())
        summary = (self.value(words) * chosen.unsqueeze(-1)).sum(dim=1, keepdim=True) / self.keep
        return words + summary


class Layer(nn.Module):
    def __init__(self, dim, keep, tau):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.mixer = Mixer(dim, keep, tau)
        self.ffn = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim))

    def forward(self, x):
        x = self.mixer(self.norm(x))
        return x + self.ffn(x)


class Stage(nn.Module):
    def __init__(self, dim, depth, keep, tau):
        super().__init__()
        self.layers = nn.ModuleList(Layer(dim, keep, tau) for _ in range(depth))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class PageRanker(nn.Module):
    def __init__(self, vocab_size=500, d_model=48, depth=1, keep=8, tau=1.0):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, d_model)
        self.encoder = nn.Sequential(Stage(d_model, depth, keep, tau))
        self.rank = nn.Linear(d_model, 1)

    def forward(self, input_ids):
        return self.rank(self.encoder(self.embed(input_ids)).mean(dim=1)).squeeze(-1)
