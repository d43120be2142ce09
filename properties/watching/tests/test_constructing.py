"""Ways to build a class: configurations that are None, what keeps every token by default, words, heads that divide."""

from collections.abc import Callable
from types import ModuleType

import pytest

from sdtps_ref.properties.watching.building import find_subjects
from sdtps_ref.properties.watching.recipe import written as written_as
from sdtps_ref.properties.watching.settings import Settings
from sdtps_ref.properties.watching.sizes import switched_on

Write = Callable[[str], ModuleType]

HEAD = """
import enum

import torch
from torch import nn


class How(enum.Enum):
    TOP = "top"


class Sieve(nn.Module):
    def __init__(self, {arguments}):
        super().__init__()
        {first}
        self.keep = {keep}
        self.rate = nn.Linear({dim}, 1)

    def forward(self, tokens):
        {before}
        score = self.rate(tokens).squeeze(-1)
        soft = score.softmax(-1)
        hard = torch.zeros_like(score).scatter(-1, score.topk({many}).indices, 1.0)
        return (hard + (soft - soft.detach())).unsqueeze(-1) * tokens
"""
USUAL = {"arguments": "dim=32", "first": "pass", "keep": "6", "dim": "dim", "before": "pass", "many": "self.keep"}
OFF = "if not self.on: return self.rate(tokens)"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"arguments": "opt=None", "dim": "opt.embed_size", "keep": "opt.num_keep"}, "Sieve(opt=...)"),
        (
            {"arguments": "config=None", "first": "first = config.stages[0]", "dim": "config.embed_size"},
            "Sieve(config=...)",
        ),
        (
            {"arguments": "args", "dim": "args.net['width']", "keep": "6"},
            "Sieve(args=...)",
        ),
        (
            {"arguments": "dim=32, pruning_loc=None", "first": "self.on = len(pruning_loc)", "before": OFF},
            "Sieve(pruning_loc=[1])",
        ),
        (
            {
                "arguments": "dim=32, keep_rate=(1,)",
                "keep": "keep_rate[0]",
                "many": "int(tokens.size(-2) * self.keep)",
            },
            "Sieve(keep_rate=(0.5,))",
        ),
        (
            {"arguments": "dim=32, num_keep=None", "first": "self.on = num_keep", "keep": "num_keep", "before": OFF},
            "Sieve(num_keep=6)",
        ),
        (
            {"arguments": "dim=32, keep_rate=0.", "first": "assert 0 < keep_rate < 1, 'no'"},
            "Sieve(keep_rate=0.5)",
        ),
        (
            {"arguments": "dim, pick", "first": "if pick not in ('best', 'worst'): raise ValueError"},
            "Sieve(dim=32, pick='best')",
        ),
        (
            {"arguments": "width=768, num_heads=12", "first": "assert width % num_heads == 0", "dim": "width"},
            "Sieve(width=32, num_heads=4)",
        ),
        ({"arguments": "dim, mode", "first": "assert mode in {3, 4}, 'no'"}, "Sieve(dim=32, mode=3)"),
        ({"arguments": "dim, how", "first": "self.how = How(how)"}, "Sieve(dim=32, how='top')"),
        ({"arguments": "dim, rounds", "first": "assert rounds > 0"}, "Sieve(dim=32, rounds=4)"),
    ],
    ids=[
        "None",
        "list",
        "nested",
        "places",
        "rates",
        "count",
        "refused",
        "word",
        "number",
        "enumeration",
        "heads",
        "unknown",
    ],
)
def test_it_is_built_so_that_it_chooses(written: Write, changes: dict[str, str], told: str) -> None:
    """What its arguments are called, what the file compares them with and what it raises tell how."""
    outcome = find_subjects(written(HEAD.format(**USUAL | changes)))

    assert [subject.told.partition(" called")[0] for subject in outcome.subjects] == [told], outcome.refused


@pytest.mark.parametrize(
    ("name", "default", "value"),
    [
        ("keep_rate", 1.0, 0.5),
        ("keep_rate", (1, 1), (0.5, 0.5)),
        ("keep_rate", 0.7, 0.7),
        ("pruning_loc", None, [1]),
        ("pruning_loc", [3, 6], [3, 6]),
        ("topk", None, 6),
        ("drop_rate", 0.0, 0.0),
        ("pretrained", None, None),
        ("prune", False, False),
    ],
)
def test_what_keeps_every_token_is_given_a_value(name: str, default: object, value: object) -> None:
    """Where the name is about keeping tokens and the default keeps all; everything else stays as it is."""
    assert switched_on(name, default) == value


def test_sizes_of_its_own_are_kept_where_small_ones_do_not_do(written: Write) -> None:
    """Channels alone are made small where the number of tokens is written into the code."""
    fixed = """
import torch
from torch import nn


class Fixed(nn.Module):
    def __init__(self, img_size=96, patch_size=16, embed_dim=256):
        super().__init__()
        self.tiles = nn.Conv2d(3, embed_dim, patch_size, patch_size)
        self.rate = nn.Linear(embed_dim, 1)

    def forward(self, x):
        tokens = self.tiles(x).flatten(2).transpose(1, 2)
        score = self.rate(tokens).view(-1, 36)
        soft = score.softmax(-1)
        hard = torch.zeros_like(score).scatter(-1, score.topk(9).indices, 1.0)
        return (hard + (soft - soft.detach())).unsqueeze(-1) * tokens
"""
    (subject,) = find_subjects(written(fixed), "Fixed").subjects

    assert subject.told == "Fixed(embed_dim=32) called with x [3, 3, 96, 96]"


def test_a_configuration_is_written_down_as_it_was_read() -> None:
    """By attribute or by key, so that the script that repeats a call can be run."""
    named, keyed = Settings(), Settings()
    assert named.depth == keyed["depth"] == 2

    assert written_as(named) == "SimpleNamespace(depth=2)"
    assert written_as(keyed) == "{'depth': 2}"
