"""The masks on real pictures: scikit-learn's digits, and what people try instead of changing the mask."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref import trace
from sdtps_ref.benchmarks.trainability.digits_model import Digits
from sdtps_ref.optional_libraries import require

TRAINED, BATCH, EPOCHS = 1400, 50, 12
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=3e-3),
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
}


@dataclass(frozen=True)
class Variant:
    """One way to build and train it. clip: by "norm" or by "value", to 1."""

    name: str
    model: dict[str, Any]
    clip: str = ""


VARIANTS = (
    Variant("no D", {"mask": "none"}),
    Variant("1e10", {"mask": 1e10}),
    Variant("log D", {"mask": "log"}),
    Variant("log D, no noise", {"mask": "log", "noise": "none"}),
    Variant("1e10, no noise", {"mask": 1e10, "noise": "none"}),
    Variant("1e10, clamped noise", {"mask": 1e10, "noise": "clamped"}),
    Variant("1e10, tau 5", {"mask": 1e10, "tau": 5.0}),
    Variant("1e10, tau 10", {"mask": 1e10, "tau": 10.0}),
    Variant("1e10, clipped norm", {"mask": 1e10}, "norm"),
    Variant("1e10, clipped values", {"mask": 1e10}, "value"),
    Variant("1e10, detached extra token", {"mask": 1e10, "extra": True}),
    Variant("1e4", {"mask": 1e4}),
    Variant("1e2", {"mask": 1e2}),
)


@dataclass(frozen=True)
class DigitsRun:
    """losses: the mean of each epoch; loss: of the last step; gradient: norm of all parameters' at the first step."""

    variant: str
    optimiser: str
    seed: int
    accuracy: float
    loss: float
    gradient: float
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Pictures:
    """1797 pictures of 64 pixels in [0, 1], in two parts."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def pictures() -> Pictures:
    """scikit-learn's digits, which come with it. Raises MissingLibrary."""
    require("sklearn", "--data digits", extra="bench")
    found, names = require("sklearn.datasets", "--data digits", extra="bench").load_digits(return_X_y=True)
    data, labels = torch.tensor(found / 16, dtype=torch.float32), torch.tensor(names)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    first, rest = order[:TRAINED], order[TRAINED:]
    return Pictures((data[first], labels[first]), (data[rest], labels[rest]))


def train(
    variant: Variant, optimiser: str, seed: int, data: Pictures, epochs: int = EPOCHS
) -> Iterator[DigitsRun | None]:
    """None after each epoch, and the run after the last."""
    torch.manual_seed(seed)
    model = Digits(**variant.model)
    update = OPTIMISERS[optimiser](model.parameters())
    inputs, labels = data.train
    gradient, losses, loss = math.nan, [], torch.tensor(math.nan)
    for _ in range(epochs):
        total = []
        for batch in torch.randperm(len(inputs)).split(BATCH):
            update.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
            loss.backward()
            if math.isnan(gradient):
                gradient = float(nn.utils.clip_grad_norm_(model.parameters(), math.inf))
            if variant.clip == "norm":
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            elif variant.clip == "value":
                nn.utils.clip_grad_value_(model.parameters(), 1.0)
            update.step()
            total.append(float(loss.detach()))
        losses.append(sum(total) / len(total))
        yield None
    model.eval()
    with torch.no_grad():
        accuracy = float((model(data.test[0]).argmax(-1) == data.test[1]).float().mean())
    yield DigitsRun(variant.name, optimiser, seed, accuracy, float(loss.detach()), gradient, tuple(losses))


def first_step(data: Pictures) -> str:
    """What trace says of the first SGD step with the mask of 1e10."""
    torch.manual_seed(0)
    model = Digits(1e10)
    update = OPTIMISERS["SGD"](model.parameters())
    with trace(model) as seen:
        loss = nn.functional.cross_entropy(model(data.train[0][:BATCH]), data.train[1][:BATCH])
        loss.backward()
        update.step()
    return str(seen)
