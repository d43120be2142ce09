"""Sizes: those that a module's layers ask for, and those that would have fitted where two numbers do not."""

from collections.abc import Callable
from types import ModuleType

import pytest
from torch import nn

from sdtps_ref.properties.watching.building import find_subjects
from sdtps_ref.properties.watching.fitting import Sizes, fitted, sizes_of

Write = Callable[[str], ModuleType]

HEAD = """
import torch
from torch import nn


def kept(score, tokens, keep=5):
    soft = score.softmax(-1)
    hard = torch.zeros_like(score).scatter(-1, score.topk(keep).indices, 1.0)
    return (hard + (soft - soft.detach())).unsqueeze(-1) * tokens
"""
PICTURE = """
class Mosaic(nn.Module):
    def __init__(self, edge=24, tile=6, colours={colours}, wide=20):
        super().__init__()
        self.tiles = nn.Conv2d(colours, wide, tile, tile)
        self.first = nn.Parameter(torch.zeros(1, 1, wide))
        self.places = nn.Parameter(torch.zeros(1, (edge // tile) ** 2 + 1, wide))
        self.rate = nn.Linear(wide, 1)

    def forward(self, {name}):
        tokens = self.tiles({name}).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(tokens), -1, -1), tokens], 1) + self.places
        return kept(self.rate(tokens).squeeze(-1), tokens)
"""
MIXED = """
class Blend(nn.Module):
    def __init__(self, how_many=27, wide=32):
        super().__init__()
        self.rate = nn.Linear(wide, 1)
        self.across = nn.Linear(how_many, how_many)

    def forward(self, x):
        x = kept(self.rate(x).squeeze(-1), x)
        return x + self.across(x.transpose(1, 2)).transpose(1, 2)
"""
CELLS = """
class Cells(nn.Module):
    def __init__(self, wide=12, rows=3, columns=7):
        super().__init__()
        self.rate = nn.Conv2d(wide, 1, 1)
        self.register_buffer("places", torch.zeros(rows * columns))

    def forward(self, cells):
        score = self.rate(cells).flatten(1) + self.places
        return kept(score, cells.flatten(2).transpose(1, 2))
"""
PANORAMA = """
class Panorama(nn.Module):
    def __init__(self, wide=12):
        super().__init__()
        self.stem = nn.Conv2d(3, wide, 4, 4)
        self.rate = nn.Conv2d(wide, 1, 1)
        self.places = nn.Linear(18, 18)

    def forward(self, image):
        cells = self.stem(image)
        return kept(self.places(self.rate(cells).flatten(1)), cells.flatten(2).transpose(1, 2))
"""


@pytest.mark.parametrize(
    ("source", "called"),
    [
        (PICTURE.format(colours=3, name="x"), "x [3, 3, 24, 24]"),
        (PICTURE.format(colours=1, name="scan"), "scan [3, 1, 24, 24]"),
        (MIXED, "x [3, 27, 32]"),
        (CELLS, "cells [3, 12, 3, 7]"),
        (PANORAMA, "image [3, 3, 12, 24]"),
    ],
    ids=["edge", "grey", "tokens", "grid", "wider than high"],
)
def test_a_size_that_no_name_tells_is_found(written: Write, source: str, called: str) -> None:
    """By the embeddings of positions and the first convolution, or by the two numbers of what was raised."""
    (subject,) = find_subjects(written(HEAD + source)).subjects

    assert subject.told.endswith(f" called with {called}")


@pytest.mark.parametrize(
    ("message", "fits"),
    [
        ("The size of tensor a (16) must match the size of tensor b (27) at non-singleton dimension 1", {"tokens": 27}),
        ("The size of tensor a (17) must match the size of tensor b (28) at non-singleton dimension 1", {"tokens": 27}),
        ("mat1 and mat2 shapes cannot be multiplied (48x32 and 20x8)", {"width": 20}),
        ("The size of tensor a (65) must match the size of tensor b (17) at non-singleton dimension 1", {"image": 16}),
        ("The size of tensor a (64) must match the size of tensor b (18)", {"image": 12, "across": 24}),
    ],
)
def test_numbers_that_do_not_fit_say_what_would(message: str, fits: dict[str, int]) -> None:
    """One size is changed, so that the two numbers are equal."""
    assert Sizes(**fits) in fitted(Sizes(), message)


def test_other_errors_say_nothing_of_sizes() -> None:
    """Numbers in them are not looked at."""
    assert fitted(Sizes(), "expected 4 arguments, got 16") == []


def test_a_module_is_asked_for_its_sizes_first() -> None:
    """The width that was built with goes first, then what layers take in."""
    sizes = sizes_of(nn.Sequential(nn.Conv2d(1, 12, 4, 4), nn.Linear(24, 3)))

    assert sizes[0].colours == 1
    assert {12, 24} <= {size.width for size in sizes_of(nn.Sequential(nn.Linear(24, 3), nn.Conv1d(12, 3, 1)))}
