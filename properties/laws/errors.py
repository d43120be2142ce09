"""What has no answer is refused, or stays visible; it is never answered with something plausible."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe, SubjectError

SMALL = Domain(fixed=(Case(batch=2, num_tokens=6, keep=3, dim=8, slots=2, training=False, scores="distinct"),))


@law(needs="selector", level="SHOULD", depends="shape.follows_inputs", domain=SMALL)
def keep_larger_than_tokens(probe: Probe) -> None:
    """selector(keep = N + 1) raises, when it is made or when it is called, and says why.

    Why: K is computed from a ratio, a crop or a configuration. If the selector quietly keeps N instead,
    nothing is selected, every D is one and no gradient reaches the score: the run looks healthy.
    Breaks when: K is clamped with min(K, N), or K is taken from a slice such as `indices[:, :keep]`.
    Remedy: `if not 1 <= keep <= num_tokens: raise ValueError(...)` with both numbers in the message.
    """
    keep = probe.case.num_tokens + 1
    _expect_refusal(probe, f"selector with keep={keep} of {keep - 1} tokens", lambda: _selected(probe, keep))


@law(needs="selector", level="SHOULD", depends="shape.follows_inputs", domain=SMALL)
def keep_of_zero(probe: Probe) -> None:
    """selector(keep = 0) raises, when it is made or when it is called, and says why.

    Why: a ratio that rounds to zero gives an empty selection, whose softmax is empty and whose mean is
    NaN, or one token that nobody asked for.
    Breaks when: topk with k = 0 returns an empty tensor without complaint, or K is clamped with max(1, K).
    Remedy: `if not 1 <= keep <= num_tokens: raise ValueError(...)` with both numbers in the message.
    """
    _expect_refusal(probe, "selector with keep=0", lambda: _selected(probe, 0))


@law(needs="selector", level="SHOULD", depends="gradient.reaches_score", domain=SMALL)
def nan_scores(probe: Probe) -> None:
    """A score of NaN raises, makes its row of D NaN, or is dropped: its token is never kept with a plain D = 1.

    Why: topk takes NaN for the largest number, so the token with the broken score is the first to be
    kept. Where D then shows a clean one, a diverged score network selects noise and no loss tells.
    Breaks when: nan_to_num or a hand-written backward hides it: `hard + (soft - soft.detach())` shows it,
    since NaN - NaN is NaN.
    Remedy: `if score.isnan().any(): raise ValueError(...)`, or let the NaN through.
    """
    broken = probe.score.detach().clone()
    lowest = int(broken[0].argmin())
    broken[0, lowest] = torch.nan
    score = probe.given("score_with_nan", broken, requires_grad=True)
    raised, selection = _attempt(lambda: probe.call(probe.build("selector"), probe.tokens, score, name="selection"))
    if raised is not None:
        _expect_message(probe, "selector given a score of NaN", raised)
        return
    decision = getattr(selection, "decision", None)
    if not isinstance(decision, Tensor):
        raise Unsupported("the selection has no decision to look at")
    row = decision.detach()[0]
    if row.isnan().any() or row[lowest] == 0:
        return
    raise Violation(
        f"decision[b=0, n={lowest}] = {row[lowest]:g} where the score is NaN, but should be NaN or 0, or the selector "
        "should raise",
        check=row.isnan().any() | (row[lowest] == 0),
    )


@law(needs="aggregator", level="SHOULD", depends="shape.follows_inputs", domain=SMALL)
def fully_masked_row(probe: Probe) -> None:
    """aggregator(tokens, D = 0 in a whole row) raises, or that row of the pooled tokens is NaN or zero.

    Why: where nothing is kept there is nothing to pool. With `logits - (1 - D) * 1e10` every logit of the
    row moves by the same amount, the softmax cancels it, and the dropped tokens are pooled as if all had
    been kept: a sample that is all padding gets a plausible answer.
    Breaks when: the mask subtracts a finite number, or an epsilon spreads the weights evenly.
    Remedy: raise where a row keeps nothing (`(D > 0).any(-1).all()`), or mask with -inf or log D.
    """
    case = probe.case
    masked = torch.ones(case.batch, case.num_tokens, dtype=case.torch_dtype, device=case.device)
    masked[0] = 0
    decision = probe.given("decision", masked)
    raised, pooled = _attempt(lambda: probe.aggregate(probe.tokens, decision))
    if raised is not None:
        _expect_message(probe, "aggregator given a row without a kept token", raised)
        return
    row = pooled.detach()[0]
    right = row.isnan().any() | (row.abs().amax() <= 1e-4 * probe.tokens.abs().amax())
    if right:
        return
    raise Violation(
        f"pooled[b=0] holds numbers up to {row.abs().amax():.3g}, but should be NaN or zero, or the aggregator should "
        "raise: decision[b=0] is zero throughout, so only dropped tokens were pooled",
        check=right,
    )


def _selected(probe: Probe, keep: int) -> Any:
    return probe.call(probe.build("selector", keep=keep), probe.tokens, probe.score, name="selection")


def _attempt(action: Callable[[], Any]) -> tuple[BaseException | None, Any]:
    """What the implementation raised, and what it returned if nothing."""
    try:
        return None, action()
    except SubjectError as error:
        return error.original, None


def _expect_refusal(probe: Probe, what: str, action: Callable[[], Any]) -> None:
    raised, returned = _attempt(action)
    if raised is not None:
        _expect_message(probe, what, raised)
        return
    tokens = getattr(returned, "selected_tokens", None)
    kept = f"answered with K = {tokens.shape[1]}" if isinstance(tokens, Tensor) and tokens.ndim == 3 else "answered"
    probe.script.note("A right selector raised above.")
    raise Violation(f"{what} {kept}, but should raise an error", check=False)


def _expect_message(probe: Probe, what: str, raised: BaseException) -> None:
    if isinstance(raised, NotImplementedError):
        raise Violation(
            f"{what} raised NotImplementedError, which says that code is missing, but should say that the input is "
            "wrong, and what is accepted",
            raised=type(raised).__name__,
        )
    if not str(raised).strip():
        kind = type(raised).__name__
        raise Violation(f"{what} raised {kind} without a message, but should say what is accepted", raised=kind)
