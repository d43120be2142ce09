"""The selection, at every size, in every dtype, for every kind of scores."""

import torch
from torch import Tensor

from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.coverage import covering_cases
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.execution_modes import for_inference, without_gradients
from sdtps_ref.properties.kit.expect import expect_close, expect_equal, expect_shape
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.decision.forward import expect_highest
from sdtps_ref.properties.laws.selection import kept_positions
from sdtps_ref.properties.laws.sizes.backward import ROUNDING

PAIRS = covering_cases()
LARGE = (
    Case(2, 4099, 2048, 8, 2, training=False),
    Case(1027, 3, 2, 8, 2, dtype="float64", scores="far"),
    Case(2, 401, 301, 8, 2, dtype="bfloat16", scores="distinct", training=False),  # beyond what it counts one by one
    Case(1, 4099, 2051, 8, 2, dtype="float16", scores="distinct", training=False),
)


@law(needs="selector", depends="selection.gathers_kept_tokens", domain=Domain(fixed=(*PAIRS, *LARGE)))
def selection_is_exact(probe: Probe) -> None:
    """D = one at topk(score, K), V_s = the tokens there, the extra token the others pooled: at every size, in every
    dtype, for every kind of scores, with and without gradients.

    Why: what is right for 20 tokens of ordinary scores breaks for the 65th sample, at the edge of a kernel's tile,
    for scores that tie or differ in their last digit, in one dtype, or only where no gradient is asked for.
    Breaks when: samples or tokens go in chunks and an index does not start anew, indices are held in a small integer
    type, scores are cast, rounded, clamped or shifted by an epsilon before they are ranked, a threshold
    (`score >= kth`) marks ties, or inference takes another way than training.
    Remedy: `topk(score, K).indices`, the hard mask and the gather of these indices, in one way for every size and mode.
    """
    case = probe.case
    selection = probe.select()
    _expect_selection(probe, selection, "")
    without, what = (without_gradients, "torch.no_grad()") if case.seed % 2 else (for_inference, "inference_mode()")
    built = probe.build("selector")
    again = probe.selection(
        probe.through(without, built, probe.tokens, probe.score, name="again", doing=f"selector under {what}")
    )
    for name, axes in (("decision", "bn"), ("selected_tokens", "bkc"), ("selected_decision", "bk")):
        owed, seen = getattr(selection, name), getattr(again, name)
        if owed is not None and isinstance(seen, Tensor):
            expect_equal(probe, f"{name}[{axes}] under {what}", axes, seen, owed, because="as with gradients")


def _expect_selection(probe: Probe, selection, suffix: str) -> None:  # type: ignore[no-untyped-def]
    case, decision = probe.case, selection.decision
    expect_shape(probe, "decision", decision, (case.batch, case.num_tokens))
    owed = (decision.detach() > 0.5).to(decision.dtype)
    expect_equal(probe, "decision", "bn", decision, owed)
    ones = owed.sum(-1, dtype=torch.float64)
    if not (ones == case.keep).all():
        b = int((ones != case.keep).nonzero()[0])
        raise Violation(
            f"decision[b={b}] keeps {int(ones[b])} of {case.num_tokens} tokens, but should keep K = {case.keep}",
            check=ones[b] == case.keep,
        )
    expect_highest(probe, decision, probe.score)
    positions = selection.keep_indices
    if positions is None:
        positions = kept_positions(decision)
    else:
        at_kept = owed.gather(-1, positions)
        if not at_kept.all() or not (positions.sort(-1).values.diff(dim=-1) > 0).all():
            raise Violation(
                "keep_indices are not the positions at which decision is one, each once",
                check=at_kept.all() & (positions.sort(-1).values.diff(dim=-1) > 0).all(),
            )
    gathered = probe.tokens.gather(1, positions.unsqueeze(-1).expand(-1, -1, case.dim))
    seen = selection.selected_tokens
    expect_shape(probe, "selected_tokens", seen, tuple(gathered.shape))
    if selection.keep_indices is None:  # any order is right: both in one order
        direction = probe.random(probe.tokens[:1, :1], "direction")
        seen, gathered = (_in_order(part.detach(), direction) for part in (seen, gathered))
    expect_equal(probe, "selected_tokens", "bkc", seen, gathered, because="as tokens at the kept positions has it")
    if selection.selected_decision is not None:
        ones = torch.ones_like(selection.selected_decision)
        expect_equal(probe, "selected_decision", "bk", selection.selected_decision, ones)
    _expect_extra(probe, selection.extra_token, owed > 0.5)


def _in_order(selected: Tensor, direction: Tensor) -> Tensor:
    """The tokens of each sample, ordered by their product with a direction."""
    order = (selected.double() * direction).sum(-1).argsort(-1)
    return selected.gather(1, order.unsqueeze(-1).expand_as(selected))


def _expect_extra(probe: Probe, extra: Tensor | None, kept: Tensor) -> None:
    if extra is None:
        return
    score, tokens = probe.score.detach().double(), probe.tokens.double()
    if probe.case.keep == probe.case.num_tokens:
        owed = torch.zeros_like(extra, dtype=torch.float64)
    else:
        owed = score.masked_fill(kept, -torch.inf).softmax(-1).unsqueeze(1) @ tokens
    tolerance = ROUNDING[probe.case.dtype] * float(tokens.abs().amax())
    why = "as the dropped tokens give, weighted by the softmax of their scores"
    expect_close(probe, "extra_token", "bic", extra, owed, tolerance=tolerance, because=why)
