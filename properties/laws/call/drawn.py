"""Which tokens the user's own call keeps while it is trained: those that score highest, or those that are drawn."""

from __future__ import annotations

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.forms import PUBLISHED, form_of
from sdtps_ref.properties.watching.graph import DRAWS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.sites import Site


@law(needs="call", level="SHOULD", depends="call.noise_is_fresh", domain=CALL)
def ranking_is_without_noise(probe: Probe) -> None:
    """The tokens that the published pooling keeps are those with the K highest scores; noise is in the soft mask alone.

    Why: noise in the ranking draws the tokens that are kept. The pooling is then trained on other tokens than those
    that it gets in eval mode. Sampling K tokens is a method of its own, and right where it is meant; the published one
    ranks the score itself.
    Breaks when: `topk` is given `score + gumbel_noise`.
    Remedy: `index = score.topk(k).indices`, `soft = ((score + gumbel_noise) / tau).softmax(-1)`.
    """
    reading, sites = decided(probe)
    sites = [site for site in sites if site.kind == "ranking" and form_of(reading, site) == PUBLISHED]
    if not sites:
        raise Unsupported("no tokens are ranked for the published pooling")
    again = passes_of(probe).other_noise()
    for site in sites:
        other = next((each for each in again.sites if each.choice.number == site.choice.number), None)
        if other is None or not _is_noisy(reading, site):
            continue
        kept, drawn = site.decision.detach() > 0.5, other.decision  # type: ignore[union-attr]
        if drawn is None or drawn.shape != kept.shape or bool((kept == (drawn.detach() > 0.5)).all()):
            continue
        moved = float((kept & (drawn.detach() <= 0.5)).sum() / kept.sum())
        raise Violation(
            f"the ranking is of the score with its noise: another draw keeps {moved:.0%} other tokens",
            where=site.place,
            effect="training keeps tokens that are drawn, and eval those that score highest",
            fix="index = score.topk(k).indices, with noise in the soft mask alone",
        )


def _is_noisy(reading: Reading, site: Site) -> bool:
    """Whether a number that is drawn for each token is in what is ranked, and is not dropout's."""
    ranked = reading.watched.watch.number_of(site.ranked)
    if ranked is None:
        return False
    calls = [reading.watched.calls[n] for n in (ranked, *reading.graph.ancestors(ranked))]
    return any(call.name in DRAWS and any(t.numel() == site.ranked.numel() for t in call.tensors) for call in calls)
