"""Samples of the user's own call that must not meet: what broadcasting brings together without a word."""

from __future__ import annotations

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.meeting_samples import LEAK, crossing, keeps_apart, leak_of
from sdtps_ref.properties.watching.passes import samples_of


@law(needs="call", depends="call.decision_is_hard", domain=CALL)
def decision_stays_in_its_sample(probe: Probe) -> None:
    """d output[b] / d D[b'] = 0 for two samples b and b': a sample's D acts on its own tokens and slots alone.

    Why: D is one wherever a token is kept, and its logarithm zero. Broadcast along the wrong axis it changes nothing in
    the forward pass, and hands each sample's score the gradient of other samples' outputs.
    Breaks when: log D (B, K) is added to logits (B, M, K) as it is, which runs wherever B = M, or B is the number of
    heads or of queries.
    Remedy: `logits + D.log().unsqueeze(1)`.
    """
    passes = passes_of(probe)
    reading, sites = decided(probe)
    batch = samples_of(passes.subject, 0)
    outputs = [t for t in reading.outputs if t.dim() > 0 and len(t) == batch]
    sites = [site for site in sites if not site.time_first and len(site.decision) == batch]  # type: ignore[arg-type]
    if batch < 2 or not outputs or not sites:
        raise Unsupported("neither D nor what is returned holds a row for each of several samples")
    for site in sites:
        own, leaked = leak_of(outputs, site.decision)  # type: ignore[arg-type]
        if leaked <= LEAK * own:
            continue
        found = crossing(reading, site, outputs)
        if found is None or not keeps_apart(passes, reading, outputs):
            continue
        call, met, other = found
        shapes = f"{_told(met.shape)} meets {_told(other.shape)}"
        raise Violation(
            f"D meets other samples: {shapes}, and {leaked / (own**2 + leaked**2) ** 0.5:.0%} of the gradient of the "
            "first sample's output goes to the others' D",
            where=call.place,
            effect="every score is trained by what tokens of other samples do; the forward pass is the same",
            fix="give D the axis that it lacks, behind that of the samples: D.unsqueeze(1)",
        )


def _told(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
