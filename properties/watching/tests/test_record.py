"""The lines that are named: the user's own, however deep in torch a call is, and the one where a gradient ends."""

from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from sdtps_ref.properties.watching.reading import read
from sdtps_ref.properties.watching.record import watch
from sdtps_ref.properties.watching.road_ends import where_lost

# In a file of its own: lines of this project are nobody's own.
RATED = """\
import torch
from torch import nn


class Rated(nn.Module):
    def __init__(self, blind=False):
        super().__init__()
        self.blind, self.rate = blind, nn.Linear(4, 1)

    def score(self, tokens):
        if not self.blind:
            return self.rate(tokens).squeeze(-1)
        with torch.no_grad():
            return self.rate(tokens).squeeze(-1)

    def forward(self, tokens):
        score = self.score(tokens)
        soft = score.softmax(-1)
        hard = torch.zeros_like(score).scatter(-1, score.topk(2).indices, 1.0)
        return (hard + (soft - soft.detach())).unsqueeze(-1) * tokens
"""


@pytest.fixture
def rated(tmp_path: Path) -> ModuleType:
    """Somebody's file with a class that keeps two of six tokens, by a score that may be made without gradients."""
    path = tmp_path / "rated.py"
    path.write_text(RATED)
    module = ModuleType("rated")
    exec(compile(RATED, str(path), "exec"), vars(module))
    return module


def line_of(text: str) -> int:
    """The number of the first line of the file that holds the text."""
    return next(i for i, line in enumerate(RATED.splitlines(), 1) if text in line)


def tokens() -> Tensor:
    """Of three samples."""
    return torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)


def test_every_call_names_the_users_line(rated: ModuleType) -> None:
    """What torch calls inside its own modules stands at the line that called the module."""
    given = tokens()

    watched = watch(lambda: rated.Rated()(given))

    places = {call.name: call.place.line for call in watched.calls if call.place is not None}
    assert places["linear"] == line_of("return self.rate")
    assert places["topk"] == line_of("hard =")
    assert places["softmax"] == line_of("soft =")


def test_a_gradient_ends_where_it_is_switched_off(rated: ModuleType) -> None:
    """Under no_grad the line is the one with `no_grad`, not the call inside; its text is that line's."""
    given = tokens()

    reading = read(lambda: rated.Rated(blind=True)(given))
    place = where_lost(reading, reading.sites[0])

    assert place is not None
    assert (place.line, place.text) == (line_of("with torch.no_grad()"), "with torch.no_grad():")


def test_another_answer_takes_the_place_of_a_result(rated: ModuleType) -> None:
    """The same pass, with other results for some calls: all that follows is made of them."""
    given, module = tokens(), rated.Rated()
    watched = watch(lambda: module(given))
    number = next(call.number for call in watched.calls if call.name == "topk")

    other = watch(lambda: module(given), answers={number: lambda found: found})
    linear = next(call.number for call in watched.calls if call.name == "linear")
    turned = watch(lambda: module(given), answers={linear: lambda result: -result})

    kept = watched.output.ne(0).any(-1)
    assert torch.equal(other.output, watched.output)
    assert not torch.equal(turned.output.ne(0).any(-1), kept)


def test_what_reads_what_is_followed_through_views_and_writes() -> None:
    """A result that is written into in place is what the next call reads."""

    def write() -> Tensor:
        mask = torch.zeros(3, 6)
        mask[:, :2] = torch.ones(3, 2)
        return mask * 2

    watched = watch(write)

    calls = {call.name: call for call in watched.calls}
    assert calls["__setitem__"].number in calls["mul" if "mul" in calls else "__mul__"].inputs
