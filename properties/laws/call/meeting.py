"""Whether scores, D and tokens belong together in the user's own call."""

from __future__ import annotations

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.alignment import misaligned
from sdtps_ref.properties.watching.belonging import parted
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.sites import Site
from sdtps_ref.properties.watching.weighing import weights_of


@law(needs="call", depends="call.decision_is_hard", domain=CALL)
def decision_meets_its_tokens(probe: Probe) -> None:
    """Where a kept token's D[n] is made 0, the output stops depending on that very token, and on no other.

    Why: D in another order than the tokens gives each token's gradient to another one's score, in the right shape.
    Breaks when: D is gathered by sorted indices and the tokens by ranked ones, or one modality's D masks another's.
    Remedy: gather tokens and D by the same indices of the same site.
    """
    _, sites = decided(probe)
    reading = passes_of(probe).reading()
    for site in sites:
        _expect_aligned(reading, site)


def _expect_aligned(reading: Reading, site: Site) -> None:
    said = misaligned(reading, site)
    if said is not None:
        raise Violation(
            said[0],
            where=said[1],
            effect="each score is trained by what another token does",
            fix="gather D and the tokens by the same indices: decision.gather(1, keep), in the order of keep",
        )


@law(needs="call", depends=("call.decision_meets_its_tokens", "call.backward_draws_nothing"), domain=CALL)
def scored_token_is_kept(probe: Probe) -> None:
    """The token that a score is made of is the token that its D acts on.

    Why: a row of tokens that is one place further on, another window or another modality has the right shape too. What
    is kept is then not what scored high, and the score is trained by what another token does.
    Breaks when: indices that count patches pick from tokens with a class token in front, a window's indices are used
    without its offset, one modality's indices pick another one's tokens, or `view` stands for a transpose.
    Remedy: pick from the very tensor that was scored: `tokens[:, 1:].gather(1, index)`.
    """
    _, sites = decided(probe)
    reading = passes_of(probe).reading()
    for site in sites:
        found = parted(reading, site)
        if found is None:
            continue
        place = site.place
        if found.at is not None:
            place = found.at.place if found.by_score else found.at.place_beside(site.decision_call)  # type: ignore[arg-type]
        what = "the tokens that are kept are not those that were scored"
        fix = "pick from the very tensor that was scored, by indices that count from its first token"
        if site.decision is not None and site.decision.numel() < site.score.numel():  # of the kept tokens alone
            what = "D and the kept tokens are in different orders"
            fix = "gather D and the tokens by the same indices, in the same order"
        raise Violation(
            f"{what}: the score of token {found.made_of} decides on token {found.acts_on}",
            where=place,
            effect="what is kept is not what scored high, and each score is trained by what another token does",
            fix=fix,
        )


@law(needs="call", depends="call.gradient_reaches_score", domain=CALL)
def weights_are_of_the_kept(probe: Probe) -> None:
    """Where kept tokens are weighted by their scores, without D, the weight of a token is made of that token's score.

    Why: a score that weighs another token than the one it was made of is trained by what that token does, and the
    output is weighted at random.
    Breaks when: the indices are sorted into the order of the tokens, and the K highest scores are not.
    Remedy: `index = score.topk(k).indices.sort().values`, `weight = score.gather(1, index)`.
    """
    reading = passes_of(probe).reading()
    found = [(site, weights) for site in reading.sites if (weights := weights_of(reading, site)) is not None]
    if not found:
        raise Unsupported("no tokens are weighted by the scores that chose them")
    for site, weights in found:
        other = parted(reading, site, weights)
        if other is not None:
            raise Violation(
                f"kept tokens get each other's weights: the score of token {other.made_of} weighs token "
                f"{other.acts_on}",
                where=site.place,
                effect="each score is trained by what another token does, and the output is weighted at random",
                fix="weight = score.gather(1, index), by the very indices that the tokens are gathered by",
            )
