"""The noise of the user's own call is Gumbel's, where it perturbs a softmax."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.added_noise import beside, is_added
from sdtps_ref.properties.watching.forms import SUMS
from sdtps_ref.properties.watching.graph import DRAWS
from sdtps_ref.properties.watching.passes import Passes
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.sites import Site

ENOUGH, MOST_CALLS = 400, 24  # numbers that a distribution is told from, and calls that are made for them
# Gumbel numbers have a skewness of 1.14, which 400 of them show to within 0.35 or so, and a variance of 1.64.
MIRRORED = -0.6
NOT_UNIFORM = ("randn", "randn_like", "normal", "normal_", "exponential_")
NoiseOf = Callable[[Passes, Reading, Site], "np.ndarray | None"]


@law(needs="call", depends="call.noise_is_fresh", domain=CALL)
def noise_is_gumbel(probe: Probe) -> None:
    """What is added to the score before the softmax over the tokens has the long tail of Gumbel noise upwards.

    Why: argmax(score + Gumbel) is a sample of softmax(score), which is what the soft mask stands for. Mirrored noise
    throws single tokens out, where Gumbel noise lifts single tokens up; plain uniform noise hardly explores.
    Breaks when: a minus is missing in `-log(-log(u))`, `u` itself is added, or `randn` stands for `rand` in it.
    Remedy: `-torch.log(-torch.log(torch.rand_like(score).clamp(tiny, 1 - eps)))`.
    """
    passes = passes_of(probe)
    sites = [site for site in passes.reading().sites if site.decision is not None]
    if not sites:
        raise Unsupported("no decision that carries a gradient was seen")
    for place in range(len(sites)):
        _expect_the_right_draw(passes.reading(), sites[place])
        drawn, line = _drawn(passes, place, _behind_the_soft_mask)
        if len(drawn) < ENOUGH and passes.mask(sites[place]).kind == "softmax":
            drawn, line = _drawn(passes, place, _before_the_ranking)
        if len(drawn) < ENOUGH:
            continue
        centred = drawn - drawn.mean()
        skewness = float((centred**3).mean() / (centred**2).mean() ** 1.5)
        spread = float(np.ptp(drawn))
        if skewness < MIRRORED:
            _refuse_distribution(
                "the noise is that of Gumbel with its sign turned: its long tail points downwards", line
            )
        # Within a row the mean is taken off, which leaves uniform noise a little wider than its unit range.
        if spread < 1.5 and abs(float((centred**2).mean()) - 1 / 12) < 0.02 and abs(skewness) < 0.3:
            _refuse_distribution("the noise is uniform between 0 and 1: it is not turned into Gumbel noise", line)


def _expect_the_right_draw(reading: Reading, site: Site) -> None:
    """Of noise that is a logarithm of a logarithm: what it is made of is uniform."""
    assert site.decision_call is not None
    calls = reading.watched.calls
    for draw in reading.graph.ancestors(site.decision_call.number):
        if calls[draw].name in NOT_UNIFORM and _logarithms(reading, draw) > 1:
            _refuse_distribution(
                f"-log(-log(u)) is Gumbel noise for a uniform u, and u is drawn by {calls[draw].name} here",
                calls[draw].place,
            )


def _logarithms(reading: Reading, number: int) -> int:
    """How many logarithms are taken of what was drawn, one of the other, before it meets another tensor."""
    count = 0
    while True:
        readers = (reading.watched.calls[n] for n in reading.graph.descendants(number))
        alone = next((call for call in readers if number in call.inputs and len(call.read) == 1), None)
        if alone is None:
            return count
        count += alone.name in ("log", "log_")
        number = alone.number


def _drawn(passes: Passes, place: int, noise_of: NoiseOf) -> tuple[np.ndarray, SourceLine | None]:
    """The noise of the site with this place among those with a D, of as many calls as it takes; and its line.

    noise_of: reads it off a site; None where nothing is drawn that it could read.
    """
    found: list[np.ndarray] = []
    line: SourceLine | None = None
    for seed in range(MOST_CALLS):
        reading = passes.reading(seed) if seed < 2 else passes.subject.reading(seed)
        sites = [site for site in reading.sites if site.decision is not None]
        noise = noise_of(passes, reading, sites[place]) if place < len(sites) else None
        if noise is None:
            break
        line = line or _where_drawn(reading, sites[place])
        found.append(noise)
        if sum(map(len, found)) >= ENOUGH:
            break
    return np.concatenate(found) if found else np.empty(0), line


def _behind_the_soft_mask(passes: Passes, reading: Reading, site: Site) -> np.ndarray | None:
    """What a softmax over the tokens adds to the score, each row's mean taken off."""
    mask = passes.mask(site)
    if mask.kind != "softmax" or not mask.probabilities or not is_added(reading, site):
        return None
    rows = torch.stack(mask.probabilities).log().numpy() / mask.rate
    score = site.by_sample(site.score.detach()).reshape(len(rows), -1).double().cpu().numpy()
    if score.shape != rows.shape or not np.isfinite(rows).all() or np.abs(score).max() > 1e3:
        return None
    noise = beside(rows, score)
    if np.abs(noise).max() < 1e-3:
        return None
    return float(np.sign(mask.rate)) * noise.ravel()  # a softmax of the negated score, where the lowest are kept


def _before_the_ranking(passes: Passes, reading: Reading, site: Site) -> np.ndarray | None:
    """What is drawn, and not trained, and added to a score before both ranking and D see it; with its sign."""
    assert site.decision_call is not None
    calls, graph, watch = reading.watched.calls, reading.graph, reading.watched.watch
    for number in reversed(graph.ancestors(site.decision_call.number)):
        call = calls[number]
        parts = [t for t in call.read if t.is_floating_point()]
        if call.name not in SUMS or len(parts) != 2 or parts[0].shape != parts[1].shape:
            continue
        if call.tensors[0].numel() != site.score.numel() or parts[0].requires_grad == parts[1].requires_grad:
            continue
        noise = parts[1] if parts[0].requires_grad else parts[0]
        made = watch.number_of(noise)
        drawn = made is not None and any(calls[n].name in DRAWS for n in (made, *graph.ancestors(made)))
        if drawn and bool(torch.isfinite(noise).all()):
            turned = -1.0 if noise is parts[1] and "sub" in call.name and "rsub" not in call.name else 1.0
            turned *= float(
                np.sign(passes.mask(site).rate)
            )  # the lowest may be kept, by a softmax of the negated score
            return (turned * noise.detach()).double().cpu().numpy().ravel()
    return None


def _where_drawn(reading: Reading, site: Site) -> SourceLine | None:
    """The line of the last logarithm of what was drawn on its way to D, or of the draw itself."""
    assert site.decision_call is not None
    calls, graph = reading.watched.calls, reading.graph
    behind = graph.ancestors(site.decision_call.number)
    draws = [n for n in behind if calls[n].name in DRAWS]
    logs = [n for n in behind if calls[n].name in ("log", "log_") and any(graph.depends(n, draw) for draw in draws)]
    chosen = (logs or draws)[:1]
    return calls[chosen[0]].place if chosen else site.decision_call.place


def _refuse_distribution(what: str, place: SourceLine | None) -> None:
    raise Violation(
        what,
        where=place,
        effect="the soft mask is not that of a sample of softmax(score): what is explored is not what is likely",
        fix="noise = -torch.log(-torch.log(torch.rand_like(score).clamp(1e-9, 1 - 1e-7)))",
    )
