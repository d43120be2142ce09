"""The kept tokens: gathered, not mixed up, and in step with the decision matrix."""

import torch
from torch import Tensor

from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import can_tell, expect_close, expect_equal
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Inconclusive, Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe

MOVING = Domain(tokens=("normal",), max_tokens=130)
DROPPING = Domain(dtypes=("float64",), scores=("distinct",), tokens=("normal",), min_dropped=2, max_tokens=65)
RANKED = Domain(dtypes=("float64", "float32"), scores=("distinct",), tokens=("normal",), max_tokens=130)
# A softmax and a weighted sum, in whatever order; a mean or another set of tokens is off by 1e-2 and more.
ROUNDING = {"float64": 1e-6, "float32": 5e-5}


@law(needs="selector", depends="decision.forward_is_hard")
def gathers_kept_tokens(probe: Probe) -> None:
    """V_s = tokens at keep_indices: the K tokens that D keeps, unchanged, each once.

    Why: everything after this point sees only V_s; a token of another sample or another position is
    not an error that a loss shows.
    Breaks when: a flat index is used across the batch, reshape or view stands where gather belongs, or
    tokens are multiplied by a D that is not exactly one.
    Remedy: `tokens.gather(1, keep_indices.unsqueeze(-1).expand(-1, -1, C))`.
    """
    selection = probe.select()
    positions = kept_positions(selection.decision)
    if selection.keep_indices is not None:
        positions = checked_indices(probe, selection.keep_indices)
        owed = probe.tokens.gather(1, positions.unsqueeze(-1).expand(-1, -1, probe.case.dim))
        why = "as tokens at keep_indices has it"
        expect_equal(probe, "selected_tokens", "bkc", selection.selected_tokens, owed, because=why)
        return
    # No indices: any order is right, so both sides are put into one order before they are compared.
    owed = probe.tokens.gather(1, positions.unsqueeze(-1).expand(-1, -1, probe.case.dim))
    for b in range(probe.case.batch):
        same = _times_among(owed[b], selection.selected_tokens[b]) == _times_among(owed[b], owed[b])
        if not same.all():
            raise Violation(
                f"selected_tokens[b={b}] are not the {probe.case.keep} tokens at which decision[b={b}] is one",
                check=same.all(),
            )


@law(
    needs="selector",
    depends=("decision.forward_is_hard", "decision.backward_is_linear"),
    domain=Domain(dtypes=("float32", "float64"), max_tokens=130),
)
def decision_is_aligned(probe: Probe) -> None:
    """D_selected[b, k] = D[b, keep_indices[b, k]]: one forward, and the gradient of that very token backward.

    Why: forward all entries are one, so a D in another order than the tokens looks right, trains, and
    rewards each token for what another one did.
    Breaks when: tokens are sorted by score and D is taken in order of position (`D[D > 0]`, a boolean mask),
    indices are sorted for one of the two only, or the tokens are chosen once for D and once more for the gather.
    Remedy: one `keep_indices = topk(score, K).indices` for the hard mask, the tokens and
    `selected_decision = decision.gather(-1, keep_indices)`.
    """
    selection = probe.select()
    if selection.keep_indices is None and selection.selected_decision is None:
        raise Unsupported("the selection has neither keep_indices nor selected_decision")
    if selection.keep_indices is not None:
        positions = checked_indices(probe, selection.keep_indices)
        at_kept = selection.decision.gather(-1, positions)
        why = "D keeps other tokens than keep_indices names: they were chosen twice, and ties or noise fell otherwise"
        expect_equal(probe, "decision at keep_indices", "bk", at_kept, torch.ones_like(at_kept), because=why)
    if selection.selected_decision is None:
        return
    expect_equal(
        probe, "selected_decision", "bk", selection.selected_decision, torch.ones_like(selection.selected_decision)
    )
    if selection.keep_indices is None:
        return

    cotangent = probe.random(selection.selected_decision)
    owed = probe.gradient(at_kept, probe.score, cotangent)
    seen = probe.gradient(selection.selected_decision, probe.score, cotangent)
    # Both are the same softmax gradient, summed in another order at most.
    tolerance = 64 * torch.finfo(seen.dtype).eps * max(float(owed.abs().amax()), float(seen.abs().amax()))
    expect_close(
        probe,
        "gradient of selected_decision to score",
        "bn",
        seen,
        owed,
        tolerance=tolerance,
        because="it is not the gradient of decision at keep_indices, so D is in another order than the tokens",
    )


@law(needs="selector", depends="selection.gathers_kept_tokens", domain=MOVING)
def tokens_carry_gradient(probe: Probe) -> None:
    """d(V_s[k]) / d(tokens[n]) = 1 where n = keep_indices[k], else 0: the gather passes the gradient on, unchanged.

    Why: whatever made the tokens is trained through the kept ones. With the gradient cut here the
    encoder stops learning, and the head that still learns hides it in the loss.
    Breaks when: tokens are detached, gathered under no_grad or through `.data`, or scaled on their way by
    something that is one forward and not backward.
    Remedy: `tokens.gather(1, keep_indices.unsqueeze(-1).expand(-1, -1, C))`, outside of any no_grad.
    """
    tokens = probe.tracked_tokens()
    selection = probe.select(tokens)
    positions = selection.keep_indices
    if positions is None:
        positions = _found_again(selection.selected_tokens, tokens)
    cotangent = probe.random(selection.selected_tokens)
    seen = probe.gradient(selection.selected_tokens, tokens, cotangent)
    if not seen.any():
        raise Violation(
            "gradient of selected_tokens to tokens is zero everywhere, but should be that of the kept tokens: "
            "they are detached or gathered under no_grad",
            check=seen.any(),
        )
    there = positions.unsqueeze(-1).expand(-1, -1, probe.case.dim)
    owed = torch.zeros_like(seen, memory_format=torch.contiguous_format).scatter(1, there, cotangent)
    why = "what comes in at a kept token goes out at its place, unchanged, and a dropped token gets zero"
    expect_equal(probe, "gradient of selected_tokens to tokens", "bnc", seen, owed, because=why)


@law(needs="selector", depends="decision.keeps_top_k", domain=RANKED)
def extra_token_pools_dropped(probe: Probe) -> None:
    """extra_token = softmax(score of the dropped tokens) @ dropped tokens; a zero token where nothing is dropped.

    Why: it carries what the selection leaves out, the most significant first; a kept token in it is
    counted twice, and a plain mean lets hundreds of background tokens drown the one that was nearly kept.
    Breaks when: the softmax runs over all N or over the kept, the scores are divided by their sum or
    carry the noise, the dropped tokens are averaged, or nothing dropped gives 0 / 0.
    Remedy: `softmax(score.masked_fill(kept, -inf), -1).unsqueeze(1) @ tokens`, zeros when K = N.
    """
    selection = probe.select()
    if selection.extra_token is None:
        raise Unsupported("the selection has no extra_token")
    score, tokens = probe.score.detach().double(), probe.tokens.double()
    kept = selection.decision.detach() > 0.5
    if probe.case.keep == probe.case.num_tokens:
        nothing = torch.zeros_like(selection.extra_token)
        why = "nothing is dropped (K = N)"
        expect_close(probe, "extra_token", "bic", selection.extra_token, nothing, tolerance=1e-6, because=why)
        return
    owed = score.masked_fill(kept, -torch.inf).softmax(-1).unsqueeze(1) @ tokens
    tolerance = ROUNDING[probe.case.dtype] * float(tokens.abs().amax())
    dropped = (~kept).double()
    mean_of_dropped = (dropped / dropped.sum(-1, keepdim=True)).unsqueeze(1) @ tokens
    can_tell(owed, tokens, tolerance, trivial=(lambda _: mean_of_dropped) if dropped[0].sum() > 1 else None)
    expect_close(
        probe,
        "extra_token",
        "bic",
        selection.extra_token,
        owed,
        tolerance=tolerance,
        because="as the dropped tokens give, weighted by the softmax of their scores",
    )


@law(needs="selector", level="SHOULD", depends="selection.extra_token_pools_dropped", domain=DROPPING)
def extra_token_carries_gradient(probe: Probe) -> None:
    """d extra/d token_n = p_n, and d extra/d score_n = p_n (token_n - extra), p the softmax over the dropped tokens.

    Why: whatever made the dropped tokens hears of them through the extra token alone, and their scores learn by it
    which of them it should hold.
    Breaks when: the dropped tokens or their weights are detached, or made under no_grad.
    Remedy: `softmax(score.masked_fill(kept, -inf), -1).unsqueeze(1) @ tokens`, outside of any no_grad; only the mask
    `kept` is a constant.
    """
    tokens = probe.tracked_tokens()
    selection = probe.select(tokens)
    extra = selection.extra_token
    if extra is None:
        raise Unsupported("the selection has no extra_token")
    cotangent = probe.random(extra)
    kept = selection.decision.detach() > 0.5
    weights = probe.score.detach().masked_fill(kept, -torch.inf).softmax(-1)  # B N
    apart = ((probe.tokens - extra.detach()) * cotangent).sum(-1)  # B N
    sources = (
        ("tokens", "bnc", tokens, weights.unsqueeze(-1) * cotangent),
        ("score", "bn", probe.score, weights * apart),
    )
    for source, axes, tensor, owed in sources:
        seen = probe.gradient(extra, tensor, cotangent)
        nowhere = "" if seen.any() else "; it is zero everywhere: something is detached on the way"
        expect_close(
            probe,
            f"gradient of extra_token to {source}",
            axes,
            seen,
            owed,
            tolerance=1e-5 * float(owed.abs().amax()),
            because=f"as the softmax of the dropped tokens' scores gives{nowhere}",
        )


def _times_among(rows: Tensor, among: Tensor) -> Tensor:
    """How often each of the rows (K C) is among the others (L C): K."""
    return (rows.unsqueeze(1) == among.unsqueeze(0)).all(-1).sum(1)


def _found_again(selected: Tensor, tokens: Tensor) -> Tensor:
    """Where each of the selected tokens (B K C) stands among the tokens (B N C); Inconclusive among twins."""
    same = (selected.detach().unsqueeze(2) == tokens.detach().unsqueeze(1)).all(-1)  # B K N
    if not (same.sum(-1) == 1).all():
        raise Inconclusive
    return same.int().argmax(-1)


def kept_positions(decision: Tensor) -> Tensor:
    """Where D is one, ascending: B K."""
    return (decision.detach() > 0.5).nonzero()[:, 1].view(decision.shape[0], -1)


def checked_indices(probe: Probe, keep_indices: Tensor) -> Tensor:
    """The indices, if each row names K different tokens; gathering by others would raise, or lie."""
    N = probe.case.num_tokens
    if keep_indices.amin() < 0 or keep_indices.amax() >= N:
        raise Violation(
            f"keep_indices reaches from {int(keep_indices.amin())} to {int(keep_indices.amax())}, "
            f"but should stay within 0 and N - 1 = {N - 1}",
            check=(keep_indices.amin() >= 0) & (keep_indices.amax() < N),
        )
    for b, row in enumerate(keep_indices.tolist()):
        if len(set(row)) < len(row):
            raise Violation(
                f"keep_indices[b={b}] = {row} names a token twice, but should name {len(row)} different ones",
                check=keep_indices[b].sort().values.diff().all(),
            )
    return keep_indices
