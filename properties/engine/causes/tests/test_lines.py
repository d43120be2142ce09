"""The line that is told is the one that was made wrong, in a file written as a stranger writes it; or none."""

from pathlib import Path

import pytest

from sdtps_ref.properties.engine.causes.lines.where import PARTS, line_of
from sdtps_ref.properties.engine.causes.tests.a_strangers import RIGHT, read

# A kind of cause, the right line, and the wrong one that takes its place.
WRONG = [
    ("soft_mask.over_batch", "soft = torch.softmax(logits, dim=-1)", "soft = torch.softmax(logits, dim=0)"),
    ("soft_mask.missing", "decision = hard + (soft - soft.detach())", "decision = hard + 0 * (soft - soft.detach())"),
    (
        "score.logarithm",
        "noisy = score + gumbel(score)",
        "noisy = score.clamp(min=1e-6).log() + gumbel(score)",
    ),
    ("softmax.overflow", "soft = torch.softmax(logits, dim=-1)", "soft = logits.exp() / logits.exp().sum(-1, True)"),
    ("ranking.ascending", "keep = score.topk(number, dim=-1).indices", "keep = (-score).topk(number, dim=-1).indices"),
    (
        "positions.in_half",
        "hard = (keep.unsqueeze(-1) == torch.arange(score.shape[1])).any(-2).to(score.dtype)",
        "hard = (keep.unsqueeze(-1).to(score) == torch.arange(score.shape[1]).to(score)).any(-2).to(score.dtype)",
    ),
    ("gather.first_k", "kept = tokens.gather(1, index)", "kept = tokens.gather(1, index.sort(1).values)"),
    ("decision.order", "marked = decision.gather(-1, keep)", "marked = decision.gather(-1, keep.sort(-1).values)"),
    ("noise.in_eval", "u = torch.rand(x.shape, dtype=torch.float64)", "u = torch.rand(x.shape).double()"),
    ("selection.extra_token_pools_dropped", 'rest = score.masked_fill(hard.bool(), float("-inf"))',
     "rest = score * (1 - hard)"),
    ("mask.gain", "logits = logits + term", "logits = logits - (1 - one) * 1e10"),
    ("mask.boolean", "logits = logits + term", 'logits = logits.masked_fill(one < 0.5, float("-inf"))'),
    ("mask.multiplies_logits", "logits = logits + term", "logits = logits * one"),
    ("decision.detached", "one = decision.unsqueeze(1)", "one = decision.detach().unsqueeze(1)"),
    ("mask.squeezed", "one = decision.unsqueeze(1)", "one = decision.unsqueeze(-1).squeeze().unsqueeze(1)"),
    ("mask.of_other_samples", "one = decision.unsqueeze(1)",
     "one = decision.repeat(self.slots, 1).view(len(tokens), self.slots, -1)"),
    ("logits.of_other_tokens", "logits = logits.transpose(1, 2)",
     "logits = logits.reshape(len(tokens), self.slots, -1)"),
    ("weights.sigmoid", "weights = torch.softmax(logits, dim=-1)", "weights = torch.sigmoid(logits)"),
    ("weights.dropout", "weights = torch.softmax(logits, dim=-1)",
     "weights = nn.functional.dropout(torch.softmax(logits, dim=-1), 0.5, self.training)"),
    ("weights.divided", "return torch.bmm(weights, tokens)",
     "return (weights.unsqueeze(-1) * tokens.unsqueeze(1)).mean(2)"),
    ("dtype.narrowed", "weights = torch.softmax(logits, dim=-1)",
     "weights = torch.softmax(logits.float(), -1).to(tokens)"),
    ("inputs.written", 'rest = score.masked_fill(hard.bool(), float("-inf"))',
     'rest = score.detach().masked_fill_(hard.bool(), float("-inf"))'),
    ("generator.reseeded", "u = torch.rand(x.shape, dtype=torch.float64)",
     "torch.manual_seed(7); u = torch.rand(x.shape, dtype=torch.float64)"),
    ("process.gradients", "chosen = self.select(tokens, score)",
     "torch.set_grad_enabled(self.training); chosen = self.select(tokens, score)"),
    ("runtime.leaves_torch_alone", "chosen = self.select(tokens, score)",
     "torch.set_default_dtype(torch.float64); chosen = self.select(tokens, score)"),
    ("keep.rounded_ratio", "number = self.keep", "number = self.keep + (self.keep == 15)"),
    ("state.cached", "logits = noisy / self.tau",
     "self.kept = noisy.detach() if self.kept is None else self.kept; logits = (noisy + 0 * self.kept) / self.tau"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "right", "wrong"), WRONG, ids=[kind for kind, *_ in WRONG])
def test_the_line_is_the_one_that_was_made_wrong(kind: str, right: str, wrong: str, tmp_path: Path) -> None:
    """Of one statement that is made wrong, the line."""
    assert RIGHT.count(right) == 1
    place = line_of(kind, read(tmp_path, RIGHT.replace(right, wrong)))

    assert place is not None
    assert place.text == wrong.strip()


def test_nothing_is_left_changed_by_what_puts_it_back(tmp_path: Path) -> None:
    """Gradients that are off within a block, and a dtype that is set and reset, are no finding."""
    source = RIGHT.replace(
        "        number = self.keep\n",
        "        number = self.keep\n        with torch.no_grad():\n            tokens.mean()\n",
    )

    found = read(tmp_path, source)

    assert [name for name in found if name.startswith("left.")] == []


def test_what_stands_on_two_lines_has_none(tmp_path: Path) -> None:
    """Two soft masks of two choices, on two lines: which one is wrong is not known."""
    twice = RIGHT.replace(
        "    def pipeline(",
        "    def branches(self, *, dim, num_tokens, keep, slots, tau):\n"
        "        return Two(dim, keep, slots, tau)\n\n    def pipeline(",
    ).replace(
        "class Mine:",
        "class Two(nn.Module):\n    def __init__(self, dim, keep, slots, tau):\n        super().__init__()\n"
        "        self.keep, self.pool = keep, Pool(dim, slots)\n\n"
        "    def forward(self, tokens, one, other):\n"
        "        soft = torch.softmax(one, -1)\n        also = torch.softmax(other, -1)\n        pooled = 0\n"
        "        for score, mask in ((one, soft), (other, also)):\n"
        "            keep = score.topk(self.keep, -1).indices\n"
        "            hard = torch.zeros_like(score).scatter(-1, keep, 1.0)\n"
        "            d = hard + (mask - mask.detach())\n"
        "            kept = tokens.gather(1, keep.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))\n"
        "            pooled = pooled + self.pool(kept, d.gather(-1, keep))\n        return pooled\n\n\nclass Mine:",
    )

    found = read(tmp_path, twice)["lines.branches"]

    assert found["soft"] is None
    assert found["decision"][2] == "d = hard + (mask - mask.detach())"


def test_a_backward_written_by_hand_has_its_line(tmp_path: Path) -> None:
    """What is wrong in a backward is on the line that returns from it."""
    source = RIGHT.replace(
        "class Select(",
        "class Through(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, hard, soft):\n"
        "        return hard.clone()\n\n    @staticmethod\n    def backward(ctx, slope):\n"
        "        return None, slope * 0.5\n\n\nclass Select(",
    ).replace("decision = hard + (soft - soft.detach())", "decision = Through.apply(hard, soft)")

    place = line_of("soft_mask.scaled", read(tmp_path, source))

    assert place is not None
    assert place.text == "return None, slope * 0.5"


def test_a_kind_without_a_part_has_no_line() -> None:
    """A temperature may have been clamped where the module was built: no line is told."""
    readings = {"lines.selector": {"soft": ["theirs.py", 3, "soft = softmax(logits)"]}}

    assert line_of("temperature.clamped", readings) is None
    assert line_of("soft_mask.sigmoid", readings) is not None
    assert {pattern for pattern, methods, _ in PARTS if not methods} == {"mask.twice", "mask.filled_row"}
