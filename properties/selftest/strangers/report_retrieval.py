"""Match X-ray patches with the words of a report; reports are padded and come with their lengths."""

from types import SimpleNamespace

import torch
import torch.nn as nn
import torch.nn.functional as F

DEFAULTS = SimpleNamespace(embed_size=64, keep_ratio=0.5, num_tokens=5, tau=1.0, beta=0.25)


def report_mean(words, lengths):
    """The mean of the words that are there: B C."""
    return torch.stack([row[:length].mean(dim=0) for row, length in zip(words, lengths, strict=True)])


class ReportRetrieval(nn.Module):
    def __init__(self, opt=DEFAULTS):
        super().__init__()
        self.opt = opt
        size = opt.embed_size
        self.significance = nn.Sequential(nn.Linear(size, size // 4), nn.GELU(), nn.Linear(size // 4, 1), nn.Sigmoid())
        self.allocate = nn.Sequential(
            nn.LayerNorm(size), nn.Linear(size, size // 4), nn.GELU(), nn.Linear(size // 4, opt.num_tokens)
        )
        self.scale = nn.Parameter(torch.ones(1))

    def score(self, patches, report):
        own = self.significance(patches).squeeze(-1)
        to_report = F.cosine_similarity(patches, report.unsqueeze(1), dim=-1)
        to_image = F.cosine_similarity(patches, patches.mean(1, keepdim=True), dim=-1)
        return (1 - 2 * self.opt.beta) * own + 2 * self.opt.beta * (to_report + to_image)

    def condense(self, patches, report):
        score = self.score(patches, report)
        order = score.argsort(dim=1, descending=True)
        k = max(1, int(order.shape[1] * self.opt.keep_ratio))
        kept, dropped = order[:, :k], order[:, k:]
        noise = torch.zeros_like(score)
        if self.training:
            noise = -torch.log(-torch.log(torch.rand_like(score).clamp(min=torch.finfo(score.dtype).tiny)))
        soft = F.softmax((score + noise) / self.opt.tau, dim=1)
        decision = torch.zeros_like(soft).scatter(1, kept, 1.0) + (soft - soft.detach())

        inside = torch.take_along_dim(patches, kept[..., None], dim=1)
        outside = torch.take_along_dim(patches, dropped[..., None], dim=1)
        logits = self.allocate(inside).transpose(1, 2) * self.scale + decision.gather(1, kept).log()[:, None]
        extra = F.softmax(score.gather(1, dropped), dim=1)[:, None] @ outside
        return torch.cat([F.softmax(logits, dim=-1) @ inside, extra], dim=1)

    def forward(self, images, reports, report_lengths):
        """Patches B N C, words B L C and a list of B lengths; returns a similarity a pair."""
        report = report_mean(reports, report_lengths)
        tokens = F.normalize(self.condense(images, report), dim=-1)
        return (tokens @ F.normalize(report, dim=-1).unsqueeze(-1)).squeeze(-1).mean(dim=1)
