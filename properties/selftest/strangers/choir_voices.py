import torch
from torch import nn

VOICES = ("soprano", "alto", "bass")


class Choir(nn.Module):
    """Bars of three voices; each voice has its own ear for which of its bars matter."""

    def __init__(self, width=16, bars=4, phrases=2):
        super().__init__()
        self.bars = bars
        self.ears = nn.ModuleDict({voice: nn.Linear(width, 1) for voice in VOICES})
        self.phrases = nn.ModuleDict({voice: nn.Linear(width, phrases) for voice in VOICES})

    def pick(self, line, loud):
        top = loud.topk(self.bars, dim=-1).indices
        noise = -torch.log(-torch.log(torch.rand_like(loud).clamp(1e-6, 1 - 1e-6))) if self.training else 0.0
        soft = (loud + noise).softmax(-1)
        mark = (torch.zeros_like(loud).scatter(-1, top, 1.0) + (soft - soft.detach())).gather(-1, top)
        return line.gather(1, top.unsqueeze(-1).expand(-1, -1, line.shape[-1])), mark

    def forward(self, soprano, alto, bass):
        lines = dict(zip(VOICES, (soprano, alto, bass), strict=True))
        listen = {}
        for voice in VOICES:
            listen[voice] = lambda line: self.ears[voice](line).squeeze(-1)  # noqa: B023
        sung = []
        for name, line in lines.items():
            kept, mark = self.pick(line, listen[name](line))
            weight = (self.phrases[name](kept).mT + mark.log().unsqueeze(1)).softmax(-1)
            sung.append(weight @ kept)
        return torch.cat(sung, dim=1)


def example():
    return Choir(), tuple(torch.randn(3, 14, 16) for _ in VOICES)
