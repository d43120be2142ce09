"""A training script as people write them: two kinds of tokens, one selection for each, a classifier on top."""

import torch
from torch import nn

KEEP, SLOTS, WIDTH, CLASSES, BATCH = 6, 3, 16, 4, 16
LENGTHS = {"patches": 24, "frames": 20}


class Pick(nn.Module):
    """Keeps KEEP tokens and pools them into SLOTS."""

    def __init__(self, tokens):
        super().__init__()
        self.judge = nn.Sequential(nn.Linear(WIDTH, 8), nn.GELU(), nn.Linear(8, 1))
        self.mix = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, SLOTS))
        self.tau = 1.0
        self.keep = KEEP

    def score(self, tokens):
        return self.judge(tokens).squeeze(-1)

    def noise(self, score):
        return -torch.log(-torch.log(torch.rand_like(score).clamp(1e-9, 1 - 1e-6)))

    def decide(self, score):
        best = score.topk(self.keep, dim=-1).indices
        hard = torch.zeros_like(score).scatter(-1, best, 1.0)
        noisy = score + self.noise(score)
        soft = torch.softmax(noisy / self.tau, dim=-1)
        decision = hard + (soft - soft.detach())
        return best, decision

    def pool(self, tokens, best, decision):
        kept = tokens.gather(1, best[..., None].expand(-1, -1, tokens.shape[-1]))
        d = decision.gather(1, best)
        logits = self.mix(kept).transpose(1, 2)
        logits = logits + d.log()[:, None]
        return torch.softmax(logits, dim=-1) @ kept


class Reader(nn.Module):
    """Both kinds, each picked and pooled by itself."""

    def __init__(self):
        super().__init__()
        self.embed = nn.ModuleDict({name: nn.Linear(WIDTH, WIDTH) for name in LENGTHS})
        self.pick = nn.ModuleDict({name: Pick(length) for name, length in LENGTHS.items()})
        self.head = nn.Linear(len(LENGTHS) * SLOTS * WIDTH, CLASSES)

    def forward(self, batch):
        tokens = {name: torch.tanh(self.embed[name](batch[name])) for name in LENGTHS}
        scores = {name: self.pick[name].score(tokens[name]) for name in LENGTHS}
        chosen = {name: self.pick[name].decide(scores[name]) for name in LENGTHS}
        pooled = []
        for name in LENGTHS:
            best, decision = chosen[name]
            pooled.append(self.pick[name].pool(tokens[name], best, decision).flatten(1))
        return self.head(torch.cat(pooled, dim=-1))


def data(step):
    """Class prototypes, hidden in a quarter of the tokens."""
    g = torch.Generator().manual_seed(step)
    prototypes = torch.randn(CLASSES, WIDTH, generator=torch.Generator().manual_seed(7))
    target = torch.randint(CLASSES, (BATCH,), generator=g)
    batch = {}
    for name, length in LENGTHS.items():
        there = (torch.rand(BATCH, length, 1, generator=g) < 0.25).float()
        batch[name] = torch.randn(BATCH, length, WIDTH, generator=g) + 2 * there * prototypes[target][:, None]
    return batch, target


def start():
    """The model, its optimizer, and one step of training."""
    torch.manual_seed(0)
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.CrossEntropyLoss()

    def step(number):
        batch, target = data(number)
        optimizer.zero_grad()
        loss = criterion(model(batch), target)
        loss.backward()
        optimizer.step()
        return loss.item()

    return model, step
