"""A file that nobody described: what is found in it, and what is said where nothing can be judged."""

import itertools
from pathlib import Path

import pytest

from sdtps_ref.properties.contract import provided
from sdtps_ref.properties.targets.target import TargetError, load, resolve

COUNT = itertools.count()
HEAD = "import torch\nfrom torch import nn\n"
PICK = """
class Pick(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.rate = nn.Linear(dim, 1)

    def forward(self, tokens):
        score = self.rate(tokens).squeeze(-1)
        soft = score.softmax(-1)
        kept = score.topk(6).indices
        hard = torch.zeros_like(score).scatter(-1, kept, 1.0)
        decision = hard + (soft - soft.detach())
        return decision.unsqueeze(-1) * tokens
"""
SOFT = """
class Soft(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.rate = nn.Linear(dim, 1)

    def forward(self, tokens):
        weights = torch.softmax(self.rate(tokens), 1)
        return weights.transpose(1, 2) @ tokens
"""
EXAMPLE = "accepted: FILE.py:example, a function without arguments that returns (module, args)"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Where a file may be written that was not there before."""
    return tmp_path / f"theirs_{next(COUNT)}.py"


def test_a_class_is_found_with_its_lines(written: Path) -> None:
    """How it was built and called, and where score, ranking and D are; what is judged is the one call."""
    written.write_text(HEAD + PICK)

    found = resolve(str(written))

    assert provided(found.implementation) == ("call",)
    assert found.found == (
        "Pick() called with tokens [3, 16, 32]",
        f"chooses tokens: score {written.name}:10, ranking {written.name}:12, D {written.name}:14",
        "form: tokens times D",
    )


def test_a_class_by_its_name(written: Path) -> None:
    """Of several, the one that is named."""
    written.write_text(HEAD + PICK + PICK.replace("Pick", "Other"))

    assert load(f"{written}:Other").name == "Other"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "it has no class with a forward pass, and no function that takes tensors"),
        (
            HEAD + "class TokenSparse(nn.Module):\n    def forward(self, tokens, text): ...",
            "TokenSparse could not be built and called by trial (ValueError: it returns no floating tensor)",
        ),
        (
            HEAD + "class TokenSparse(nn.Module):\n    def __init__(self, embed_dim, sparse_ratio):\n"
            "        raise KeyError('config')\n    def forward(self, tokens, attention_x, attention_y): ...",
            "TokenSparse could not be built and called by trial (building it raised KeyError: 'config')",
        ),
        (
            HEAD + "".join(f"class C{i}(nn.Module):\n    def forward(self, x): 1 / 0\n" for i in range(9)),
            "(ZeroDivisionError: division by zero), nor could C7, C6, C5, ...",
        ),
        (HEAD + PICK + "def example():\n    raise OSError('no weights')", "example() raised OSError: no weights"),
        (HEAD + PICK + "def example():\n    return Pick()", "example() raised TypeError: "),
    ],
)
def test_what_cannot_be_judged_is_said_in_one_line(written: Path, text: str, says: str) -> None:
    """Why, and what is accepted; never so long that it fills a screen."""
    written.write_text(text)

    with pytest.raises(TargetError) as raised:
        load(str(written))

    line = str(raised.value)
    assert says in line
    assert says.startswith("example()") or EXAMPLE in line
    assert "\n" not in line
    assert len(line) < 5 * 80 + len(str(written))


def test_a_module_that_chooses_nothing_is_told_so(written: Path) -> None:
    """It is no unrecognised module: nothing is selected, and its soft weights are made at that line."""
    written.write_text(HEAD + SOFT)

    with pytest.raises(TargetError, match=rf"nothing is selected: Soft\(dim=32\).*{written.stem}.py:10$"):
        load(str(written))


def test_an_example_goes_before_trial(written: Path) -> None:
    """A function of the name `example` in the file is taken by itself, and by name."""
    written.write_text(HEAD + PICK + "def example():\n    return Pick(8), (torch.randn(2, 9, 8),)\n")

    for target in (str(written), f"{written}:example"):
        assert resolve(target).found[0] == "example(): Pick called with [2, 9, 8]"


def test_a_file_with_published_signatures_is_judged_both_ways(written: Path) -> None:
    """Through the contract, since its parts are known, and by one call of the outermost class."""
    from importlib.resources import files

    written.write_text((files("sdtps_ref.properties.selftest.published") / "multi_modal.py").read_text())

    assert {"call", "selector", "multimodal"} <= set(provided(load(str(written))))
