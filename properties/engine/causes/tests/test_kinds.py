"""What is told first of a file in which one statement is wrong, where an earlier explanation was near the truth."""

from pathlib import Path

import pytest

from sdtps_ref.properties.certificates.certificate import Failure, LawResult
from sdtps_ref.properties.contract import provided
from sdtps_ref.properties.engine.causes import causes_of
from sdtps_ref.properties.engine.causes.examination import examined
from sdtps_ref.properties.engine.causes.tests.a_strangers import RIGHT, load
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.law import all_laws

CASE = Case(batch=2, num_tokens=6, keep=3, dim=8, slots=2)
FLOOR = (
    "self.keep, self.tau, self.kept = keep, tau, None",
    "self.keep, self.tau, self.kept = keep, max(tau, 0.1), None",
)
ENTRY = "chosen = self.select(tokens, score)"
SHORTCUT = (
    "decision = hard + (soft - soft.detach())",
    "decision = hard + (soft - soft.detach()) if number < score.shape[1] else hard",
)
TIMES_TAU = ("decision = hard + (soft - soft.detach())", "decision = hard + self.tau * (soft - soft.detach())")
LOGARITHM = ("noisy = score + gumbel(score)", "noisy = score.clamp(min=1e-6).log() + gumbel(score)")
FOLDED = (
    "logits = logits.transpose(1, 2)",
    "self.folded = self.layers[3].bias * 1 if self.folded is None else self.folded\n"
    "        logits = (logits + 0 * self.folded).transpose(1, 2)",
)
WRONG = [
    ("temperature.clamped", "sizes.backward_is_softmax", *FLOOR),
    ("gradient.without_temperature", "decision.backward_is_softmax", *TIMES_TAU),
    ("score.logarithm", "decision.backward_is_softmax", *LOGARITHM),
    ("decision.constant_where_all_are_kept", "gradient.reaches_score", *SHORTCUT),
    ("mask.gain", "gradient.is_finite", "logits = logits + term", "logits = logits + (1 - one) * torch.finfo().min"),
    ("mask.gain", "gradient.is_finite", "logits = logits + term",
     "logits = logits + (1 - one) * torch.finfo(one.dtype).min"),
    ("mask.of_other_samples", "symmetry.batch_independent", "one = decision.unsqueeze(1)",
     "one = decision.repeat(self.slots, 1).view(len(tokens), self.slots, -1)"),
    ("mask.squeezed", "shape.follows_inputs", "one = decision.unsqueeze(1)",
     "one = decision.unsqueeze(-1).squeeze().unsqueeze(1)"),
    ("dtype.narrowed", "sizes.pooling_of_repeated_tokens", "weights = torch.softmax(logits, dim=-1)",
     "weights = torch.softmax(logits.float(), -1).to(tokens)"),
    ("weights.dropout", "aggregation.is_convex", "weights = torch.softmax(logits, dim=-1)",
     "weights = nn.functional.dropout(torch.softmax(logits, dim=-1), 0.5, self.training)"),
    ("process.gradients", "later_calls.nothing_is_remembered", ENTRY,
     f"torch.set_grad_enabled(self.training); {ENTRY}"),
    ("state.kept", "later_calls.nothing_is_remembered", *FOLDED),
]  # fmt: skip


def failed(law_id: str) -> LawResult:
    """A law that failed."""
    return LawResult(law_id, all_laws()[law_id].level, "failed", failure=Failure("is wrong", CASE, script=""))


@pytest.mark.parametrize(("kind", "law_id", "right", "wrong"), WRONG, ids=[f"{kind}-{law}" for kind, law, *_ in WRONG])
def test_what_was_made_wrong_is_told(kind: str, law_id: str, right: str, wrong: str, tmp_path: Path) -> None:
    """One statement is wrong, one law failed, and the cause is that statement's."""
    assert RIGHT.count(right) == 1
    theirs = load(tmp_path, RIGHT.replace(right, wrong)).Mine()

    first, *_ = causes_of([failed(law_id)], examined(theirs, provided(theirs), [law_id]))

    assert first.kind == kind


@pytest.mark.parametrize("law_id", sorted({law_id for _, law_id, *_ in WRONG}))
def test_right_code_is_not_explained(law_id: str, tmp_path: Path) -> None:
    """Where nothing is wrong no hypothesis holds, whatever law is said to have failed."""
    theirs = load(tmp_path, RIGHT).Mine()

    first, *_ = causes_of([failed(law_id)], examined(theirs, provided(theirs), [law_id]))

    assert first.kind == law_id
