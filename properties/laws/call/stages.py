"""Several choices one after another, in the user's own call."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided
from sdtps_ref.properties.watching.choosing import is_hard
from sdtps_ref.properties.watching.forms import MASKED, POLICY, form_of, meeting_of
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.sites import Site


@law(needs="call", depends="call.decision_is_hard", domain=CALL)
def dropped_tokens_stay_dropped(probe: Probe) -> None:
    """Where one stage after another masks the same tokens, a token that was masked is masked in every later stage.

    Why: the share that is kept is to fall from stage to stage, and what is pruned when the model is used is gone. In
    training it comes back, so that the later blocks learn on tokens that they will never see.
    Breaks when: a stage's new decision replaces the earlier one, and is not multiplied by it.
    Remedy: `keep = keep * gumbel_softmax(logits, hard=True)[..., 0]`.
    """
    reading, sites = decided(probe)
    masks = [(site, mask) for site in sites if (mask := _mask_in_use(reading, site)) is not None]
    if len(masks) < 2:
        raise Unsupported("no tokens are masked in more than one stage")
    for (earlier, before), (later, after) in pairwise(masks):
        after_it = later.score_call is not None and reading.graph.depends(
            later.score_call.number,
            earlier.decision_call.number,  # type: ignore[union-attr]
        )
        back = (after > 0.5) & (before < 0.5) if before.shape == after.shape else None
        if after_it and back is not None and back.any():
            raise Violation(
                f"{int(back.sum())} of {int((before < 0.5).sum())} tokens that a stage masks are back in the next one",
                where=later.decision_call.place,  # type: ignore[union-attr]
                effect="later blocks learn on tokens that are gone when the model is used, and the share that is kept "
                "does not fall",
                fix="multiply the new decision by the one before: keep = keep * new",
            )


def _mask_in_use(reading: Reading, site: Site) -> Tensor | None:
    """B N: what masks an attention by the site's D; None where D acts otherwise."""
    if form_of(reading, site) not in (POLICY, MASKED) or site.decision_call is None:
        return None
    meeting = meeting_of(reading, site.decision_call)
    found = None
    for number in (site.decision_call.number, *reading.graph.descendants(site.decision_call.number)):
        if meeting is not None and number >= meeting.number:
            break
        for tensor in reading.watched.calls[number].tensors:
            whole = tensor.dim() == 2 or (tensor.dim() == 3 and tensor.shape[-1] == 1)
            if whole and tensor.is_floating_point() and is_hard(tensor):
                found = tensor.detach().flatten(1)
    return found
