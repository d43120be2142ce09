"""The kept tokens: gathered, not mixed up, and in step with the decision matrix."""

import torch
from torch import Tensor

from sdtps_ref.properties.domain import Domain
from sdtps_ref.properties.expect import expect_close, expect_equal
from sdtps_ref.properties.law import Unsupported, Violation, law
from sdtps_ref.properties.probe import Probe


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
        expect_equal(probe, "selected_tokens", "bkc", selection.selected_tokens, owed)
        return
    # No indices: any order is right, so both sides are put into one order before they are compared.
    owed = probe.tokens.gather(1, positions.unsqueeze(-1).expand(-1, -1, probe.case.dim))
    for b in range(probe.case.batch):
        if sorted(selection.selected_tokens[b].tolist()) != sorted(owed[b].tolist()):
            shown = probe.script.shown(selection.selected_tokens)
            raise Violation(
                f"selected_tokens[b={b}] are not the {probe.case.keep} tokens at which decision[b={b}] is one",
                check=f"sorted({shown}[{b}].tolist()) == {sorted(owed[b].tolist())}",
            )


@law(needs="selector", depends="decision.forward_is_hard", domain=Domain(dtypes=("float32", "float64"), max_tokens=130))
def decision_is_aligned(probe: Probe) -> None:
    """D_selected[b, k] = D[b, keep_indices[b, k]]: one forward, and the gradient of that very token backward.

    Why: forward all entries are one, so a D in another order than the tokens looks right, trains, and
    rewards each token for what another one did.
    Breaks when: tokens are sorted by score and D is taken in order of position (`D[D > 0]`, a boolean mask),
    or indices are sorted for one of the two only.
    Remedy: `selected_decision = decision.gather(-1, keep_indices)`, with the indices that gathered the tokens.
    """
    selection = probe.select()
    if selection.keep_indices is None and selection.selected_decision is None:
        raise Unsupported("the selection has neither keep_indices nor selected_decision")
    if selection.keep_indices is not None:
        positions = checked_indices(probe, selection.keep_indices)
        at_kept = selection.decision.gather(-1, positions)
        probe.script.name(
            at_kept,
            f"{probe.script.shown(selection.decision)}.gather(-1, {probe.script.shown(selection.keep_indices)})",
        )
        expect_equal(probe, "decision at keep_indices", "bk", at_kept, torch.ones_like(at_kept))
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


def kept_positions(decision: Tensor) -> Tensor:
    """Where D is one, ascending: B K."""
    return (decision.detach() > 0.5).nonzero()[:, 1].view(decision.shape[0], -1)


def checked_indices(probe: Probe, keep_indices: Tensor) -> Tensor:
    """The indices, if each row names K different tokens; gathering by others would raise, or lie."""
    shown = probe.script.shown(keep_indices)
    N = probe.case.num_tokens
    if keep_indices.amin() < 0 or keep_indices.amax() >= N:
        raise Violation(
            f"keep_indices reaches from {int(keep_indices.amin())} to {int(keep_indices.amax())}, "
            f"but should stay within 0 and N - 1 = {N - 1}",
            check=f"0 <= {shown}.min() and {shown}.max() < {N}",
        )
    for b, row in enumerate(keep_indices.tolist()):
        if len(set(row)) < len(row):
            raise Violation(
                f"keep_indices[b={b}] = {row} names a token twice, but should name {len(row)} different ones",
                check=f"len(set({shown}[{b}].tolist())) == {len(row)}",
            )
    return keep_indices
