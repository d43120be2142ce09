"""Trainability: a toy task on which the mask alone decides whether the selection is learned.

A class shows in a quarter of the tokens. A backbone feeds the score and the values, the selection keeps half
of the tokens, the aggregation pools them, and a linear head names the class. Runs of one seed differ in
nothing but mask and optimiser: parameters, data and noise are the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

from sdtps_ref import InvalidInput, ScorePredictor, TokenAggregation, TokenSparse
from sdtps_ref.inputs import check_count

TOKENS, DIM, SLOTS, BATCH, CLASSES = 32, 32, 6, 64, 8
KEEP_RATIO, SHOWING_RATIO, SIGNAL = 0.5, 0.25, 1.5

_STREAMS = 3  # parameters, noise and data are drawn from streams of their own

ToyMask = Literal["none", "subtract", "log"]
MASKS: dict[ToyMask, str] = {"none": "no D", "subtract": "1e10 mask", "log": "log mask"}
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=3e-3),
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.05),
}


@dataclass(frozen=True)
class Step:
    """One step of training. NaN where the score was not finite any more."""

    loss: float  # cross entropy in nats; log(CLASSES) is chance
    gradient_norm: float  # of all parameters together
    score_gradient_norm: float  # of the loss with respect to the score; zero where no gradient reaches it
    kept: float  # share of the tokens showing the class that were kept; KEEP_RATIO is chance


DIVERGED = Step(*[float("nan")] * 4)


class ToyModel(nn.Module):
    """Backbone, score, selection, aggregation and head; the middle three are the reference's."""

    def __init__(self, mask: ToyMask, noise: Generator):
        super().__init__()
        self.mask = mask
        self.backbone = nn.Sequential(nn.Linear(DIM, 2 * DIM), nn.GELU(), nn.Linear(2 * DIM, DIM))
        self.score = ScorePredictor(DIM)
        self.select = TokenSparse(DIM, KEEP_RATIO, generator=noise)
        self.pool = TokenAggregation(DIM, SLOTS, mask="subtract" if mask == "subtract" else "log")
        self.head = nn.Linear(DIM, CLASSES)

    def scored(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """features: B N C. The tokens, B N C, and the score, B N."""
        tokens = self.backbone(features)
        return tokens, self.score(tokens)

    def classified(self, tokens: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        """tokens: B N C; score: B N. The logits of the classes, and keep_indices, B K."""
        selection = self.select(tokens, score)
        decision = None if self.mask == "none" else selection.selected_decision
        pooled = self.pool(selection.selected_tokens, decision)  # B M C
        return self.head(pooled.mean(dim=1)), selection.keep_indices


def draw_batch(prototypes: Tensor, data: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Features, B N C; which tokens show the class, B N; the class, B. prototypes: CLASSES C."""
    label = torch.randint(CLASSES, (BATCH,), generator=data)
    showing = torch.rand(BATCH, TOKENS, generator=data) < SHOWING_RATIO
    features = torch.randn(BATCH, TOKENS, DIM, generator=data)
    return features + SIGNAL * showing.unsqueeze(-1) * prototypes[label].unsqueeze(1), showing, label


def train(mask: ToyMask, optimiser: str, seed: int, steps: int) -> Iterator[Step]:
    """The steps of one run, as they are made; all that follow the first score that is not finite are DIVERGED.

    Raises InvalidInput for a mask, an optimiser or a number of steps that there is not.
    """
    check_count("steps", steps)
    for name, given, accepted in (("mask", mask, list(MASKS)), ("optimiser", optimiser, list(OPTIMISERS))):
        if given not in accepted:
            raise InvalidInput.given(f"{name}={given!r}", " or ".join(map(repr, accepted)))
    with torch.random.fork_rng(devices=[]):  # layers draw their parameters from the global generator
        torch.manual_seed(_STREAMS * seed)
        model = ToyModel(mask, Generator().manual_seed(_STREAMS * seed + 1))
    data = Generator().manual_seed(_STREAMS * seed + 2)
    prototypes = torch.randn(CLASSES, DIM, generator=data)
    update = OPTIMISERS[optimiser](model.parameters())
    for step in range(steps):
        made = _step(model, update, *draw_batch(prototypes, data))
        if made is None:  # NaN parameters never come back
            yield from [DIVERGED] * (steps - step)
            return
        yield made


def _step(
    model: ToyModel, update: torch.optim.Optimizer, features: Tensor, showing: Tensor, label: Tensor
) -> Step | None:
    tokens, score = model.scored(features)
    if not score.isfinite().all():
        return None  # the reference would refuse the score; here that is a result
    score.retain_grad()
    logits, kept = model.classified(tokens, score)
    loss = cross_entropy(logits, label)
    update.zero_grad()
    loss.backward()
    update.step()
    norms = [parameter.grad.norm() for parameter in model.parameters() if parameter.grad is not None]
    reached = torch.zeros(()) if score.grad is None else score.grad
    return Step(
        loss=loss.item(),
        gradient_norm=torch.stack(norms).norm().item(),
        score_gradient_norm=reached.norm().item(),
        kept=(showing.gather(1, kept).sum() / showing.sum()).item(),
    )
