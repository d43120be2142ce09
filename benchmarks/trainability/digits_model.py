"""A small model for scikit-learn's digits, written as people write theirs: a pixel is a token, 8 of 64 are kept."""

import torch
from torch import Tensor, nn

PIXELS, CLASSES = 64, 10


class Digits(nn.Module):
    """Selection with a mask of your choice.

    mask: "none" (D is not used), "log", or the constant that a dropped token's logit loses. noise: "gumbel",
    "clamped" (to plus and minus 5) or "none". extra: append the dropped tokens' pooled token, detached.
    """

    def __init__(self, mask, noise="gumbel", tau=1.0, extra=False, keep=8, width=32, slots=4):  # type: ignore[no-untyped-def]
        super().__init__()
        self.mask, self.noise, self.tau, self.extra, self.keep = mask, noise, tau, extra, keep
        self.embed, self.place = nn.Linear(1, width), nn.Parameter(torch.randn(PIXELS, width) * 0.5)
        self.score = nn.Sequential(nn.Linear(width, width // 4), nn.GELU(), nn.Linear(width // 4, 1))
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 16), nn.GELU(), nn.Linear(16, slots))
        self.head = nn.Linear((slots + extra) * width, CLASSES)

    def drawn(self, score: Tensor) -> Tensor:
        """Noise in the shape of the score."""
        if not self.training or self.noise == "none":
            return torch.zeros_like(score)
        noise = -torch.empty_like(score).exponential_().clamp_min(1e-20).log()
        return noise.clamp(-5, 5) if self.noise == "clamped" else noise

    def forward(self, picture: Tensor) -> Tensor:
        """picture: B 64. Returns B 10."""
        tokens = torch.relu(self.embed(picture[..., None]) + self.place)  # B N C
        score = self.score(tokens).squeeze(-1)  # B N
        order = score.argsort(-1, descending=True)
        kept, dropped = order[:, : self.keep], order[:, self.keep :]
        hard = torch.zeros_like(score).scatter(1, kept, 1.0)
        soft = ((score + self.drawn(score)) / self.tau).softmax(-1)
        decision = hard + (soft - soft.detach())
        selected = tokens.gather(1, kept[..., None].expand(-1, -1, tokens.shape[-1]))
        logits = self.mlp(selected).transpose(1, 2)  # B M K
        d = decision.gather(1, kept).unsqueeze(1)  # B 1 K
        if self.mask == "log":
            logits = logits + d.log()
        elif self.mask != "none":
            logits = logits - (1 - d) * self.mask
        pooled = logits.softmax(-1) @ selected
        if self.extra:
            rest = tokens.gather(1, dropped[..., None].expand(-1, -1, tokens.shape[-1]))
            share = score.gather(1, dropped).softmax(-1).unsqueeze(1)
            pooled = torch.cat([pooled, (share @ rest).detach()], dim=1)
        return self.head(pooled.flatten(1))
