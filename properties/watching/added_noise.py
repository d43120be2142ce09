"""Noise that is added to the score on its way to D."""

from __future__ import annotations

import numpy as np

from sdtps_ref.properties.watching.graph import RANDOM
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.sites import Site


def is_added(reading: Reading, site: Site) -> bool:
    """Whether anything that could be noise goes into D, drawn or held. What differs from a softmax of the score without
    is another function of it, as an entropic transport plan is."""
    assert site.decision_call is not None
    behind = [reading.watched.calls[n] for n in reading.graph.ancestors(site.decision_call.number)]
    if any(call.name in RANDOM for call in behind):
        return True
    held = [t for call in behind for t in call.outside if t.is_floating_point() and not t.requires_grad and t.dim()]
    cut = [call for call in behind if call.name in ("__getitem__", "narrow") and any(call.read[0] is t for t in held)]
    held += [call.tensors[0] for call in cut]  # as many as there are tokens, of a longer table
    return any(t.shape[-1] == site.score.shape[-1] or t.numel() == site.score.numel() for t in held)


def beside(logits: np.ndarray, score: np.ndarray) -> np.ndarray:
    """What the logits hold beside the score, each row's mean taken off: nothing where they are a multiple of it."""
    noise, spread = ((part - part.mean(-1, keepdims=True)) for part in (logits - score, score))
    alike = (noise * spread).sum() / max((spread**2).sum(), 1e-30)
    rest = noise - alike * spread
    return rest if (rest**2).sum() < 1e-4 * (noise**2).sum() else noise
