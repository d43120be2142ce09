"""The noise at every temperature and size, and every draw of it: new, Gumbel's, and torch's generator's."""

import torch
from torch import Tensor

from sdtps_ref.properties.kit import jacobians
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.later_calls import answers, disturbances
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.later_calls.asking import METHODS, asked, expect_answer, subjects
from sdtps_ref.properties.signals import tail_bounds

RANGE = Domain(
    fixed=(
        Case(900, 3, 1, 8, 1, tau=0.05, dtype="float64", scores="constant"),
        Case(600, 4, 2, 8, 1, tau=0.2, scores="constant"),
        Case(120, 17, 8, 8, 1, tau=20.0),
        Case(300, 12, 5, 8, 1, tau=5.0, dtype="bfloat16", scores="constant"),
        Case(300, 12, 5, 8, 1, tau=5.0, dtype="float16", scores="constant"),
        Case(17, 260, 65, 8, 1, tau=10.0, dtype="float64"),
        Case(7, 1100, 512, 8, 1, tau=1.0, dtype="float64"),
        Case(3, 4200, 100, 8, 1, tau=2.0, dtype="float64"),
    )
)
SHARED = Domain(
    fixed=(
        Case(40, 33, 8, 8, 1, tau=0.5, dtype="float64"),
        Case(4, 2100, 512, 8, 1, tau=1.0, dtype="float64"),
        Case(300, 5, 2, 8, 1, tau=2.0, dtype="float64"),
    )
)
TRAINING = Domain(fixed=(Case(4, 9, 4, 16, 3, tau=0.3, scores="distinct"),))
CHANCE = 1e-9  # for each statistic; a right noise faces fewer than 60 of them, each twice
AGAIN = (0, 100)
TWIN = 1e-9  # two differences closer than this are one draw
SHARE = 0.02


@law(needs="selector", depends="noise.is_gumbel", domain=RANGE)
def are_gumbel(probe: Probe) -> None:
    """noise = tau log(soft_mask) - score is Gumbel(0, 1) at every temperature and dtype, in 3 tokens and in 4200, in
    the first sample and the last, for the first token and the last.

    Why: the temperature is annealed, the resolution grows, the batch shrinks at the end of an epoch; the noise is the
    same in all of them.
    Breaks when: another noise, or none, is taken where tau is small or large, the noise is scaled by a size, it is
    drawn for a fixed number of tokens and padded, or a dtype rounds it away.
    Remedy: `-log(-log(U))` with U of the score's own shape, whatever the temperature.
    """
    for seed in AGAIN:
        found = _departure(probe, seed)
        if found is None:
            return
    raise found  # type: ignore[misc]


def _departure(probe: Probe, seed: int) -> Violation | None:
    noise = probe.noise(probe.select(seed=seed).decision)
    finite = noise.isfinite().all(-1)
    lost = 1 - float(finite.double().mean())
    if lost > 0.8:
        return None  # a soft mask in less precision than the score's: nothing can be read
    uniforms = probe.define("uniforms", jacobians.gumbel_uniforms, noise)
    rows = len(uniforms)
    # Rows that cannot be read, where one token takes all, are no random choice of the rows.
    allowance = lost / (1 - lost) + _blur(probe)
    last = max(1, 600 // rows)
    parts = {
        "all tokens": uniforms,
        f"the last {last} tokens": uniforms[:, -last:],
        f"the first {last} tokens": uniforms[:, :last],
        "the last sample": uniforms[-1:],
        "the first sample": uniforms[:1],
    }
    for where, part in parts.items():
        distance = probe.define("distance", jacobians.distance_from_uniform, part)
        limit = tail_bounds.ks_threshold(part.numel(), CHANCE) + allowance
        if distance <= limit:
            continue
        return Violation(
            f"the noise of {where} at tau = {probe.case.tau:g} is not Gumbel(0, 1), -log(-log(U)), but should be "
            f"(Kolmogorov-Smirnov distance {distance:.3g} over {part.numel()} draws, where chance stays below "
            f"{limit:.2g})",
            check=distance <= limit,
        )
    return None


def _blur(probe: Probe) -> float:
    """How far rounding may move a uniform: by that of p, times tau."""
    return 4 * probe.case.tau * max(torch.finfo(probe.case.torch_dtype).eps, torch.finfo(torch.float32).eps)


@law(needs="selector", depends="noise.is_independent", domain=SHARED)
def are_never_shared(probe: Probe) -> None:
    """No two entries of the noise are one draw: not within a row of 2100 tokens, not over samples, calls without a new
    seed, or two selectors.

    Why: a pattern in the noise is a direction that is explored again and again, and no loss shows it.
    Breaks when: a counter or a tile wraps, a buffer of noise is drawn once and cut from, a chunk begins with the same
    seed as the last, or every layer seeds its own generator alike.
    Remedy: one draw from torch's generator for each entry of the score.
    """
    for seed in AGAIN:
        found = _repetition(probe, seed)
        if found is None:
            return
    raise found  # type: ignore[misc]


def _repetition(probe: Probe, seed: int) -> Violation | None:
    first = probe.noise(probe.select(seed=seed).decision)
    built = probe.build("selector")
    again, other = (
        probe.noise(probe.call(each, probe.tokens, probe.score, name="selection", seed=None).decision)
        for each in (built, probe.build("selector", fresh=True))
    )
    calls = {"a call": first, "the next call": again, "another selector's call": other}
    noise = torch.cat(list(calls.values()))
    steps = (noise[:, 1:] - noise[:, :-1]).flatten()  # a row is known up to a constant
    place = torch.arange(steps.numel(), device=steps.device)[steps.isfinite()]
    steps = steps[steps.isfinite()]
    ordered, order = steps.sort()
    twins = (ordered[1:] - ordered[:-1]) < TWIN
    if steps.numel() and float(twins.double().mean()) > SHARE:
        at = int(twins.nonzero()[0])
        width = noise.shape[1] - 1
        where = [divmod(int(place[order[at + i]]), width) for i in (0, 1)]
        rows = [f"{list(calls)[row // len(first)]}, b={row % len(first)}, n={n}" for row, n in sorted(where)]
        return Violation(
            f"the noise of ({rows[0]}) and that of ({rows[1]}) are one draw, and so are "
            f"{100 * float(twins.double().mean()):.0f} "
            "% of all entries, but each should be drawn anew",
            check=twins.double().mean() <= SHARE,
        )
    return _mirrored(probe, calls)


def _mirrored(probe: Probe, calls: dict[str, Tensor]) -> Violation | None:
    """Correlations that a shuffled, mirrored or shifted draw leaves, or an antithetic one."""
    first, again, other = calls.values()
    half, rest = first.shape[0] // 2, first.shape[1] // 2
    pairs = {
        "a sample and its mirror image in the batch": (first[:half], first.flip(0)[:half]),
        "a sample and the next": (first[:-1:2], first[1::2]),
        "a token and its mirror image in the row": (first[:, :rest], first.flip(1)[:, :rest]),
        "a call and the next": (first, again),
        "a call and another selector's": (first, other),
        "a call and the next, a sample later": (first[:-1], again[1:]),
        "a call and the next, mirrored": (first, again.flip(0)),
    }
    for what, (one, two) in pairs.items():
        rows = min(len(one), len(two))
        one, two = one[:rows], two[:rows]
        readable = (one.isfinite() & two.isfinite()).all(-1)
        one, two = one[readable], two[readable]
        if len(one) < 2 or one.shape[1] < 3:
            continue
        found = probe.define("correlation", jacobians.rank_correlation, one, two)
        limit = tail_bounds.mean_threshold(len(one), 1 / (one.shape[1] - 1), 1.0, CHANCE)
        if found.abs() > limit:
            return Violation(
                f"the noise of {what} has a rank correlation of {found:.3g}, but should be independent (within "
                f"{limit:.2g} "
                "of 0)",
                check=found.abs() <= limit,
            )
    return None


@law(needs="|".join(METHODS), depends="runtime.respects_the_generator", domain=TRAINING)
def follow_the_generator(probe: Probe) -> None:
    """In train mode equal states of torch's generator give equal answers, of everything that is offered; a state that
    was saved in between resumes them, and another state of the same seed gives others.

    Why: a run that was interrupted goes on from a saved state, not from its seed; and a bug that cannot be repeated
    cannot be found.
    Breaks when: noise comes from numpy, Python or a generator of one's own, is seeded by `torch.initial_seed()`, or is
    drawn ahead and kept.
    Remedy: `torch.rand(score.shape, device=score.device)`, in the call that uses it.
    """
    for subject in subjects(probe):
        built = subject.fresh()
        rest = (subject.arguments, subject.named, probe.case.seed)
        first, resumed, later = asked(
            probe, disturbances.answers_of_states, subject, built, *rest, doing="under states of torch's generator"
        )
        why = "as it answered before from the same state of torch's generator"
        expect_answer(probe, subject, resumed, first, "from a saved state", why)
        if subject.name == "selector":
            name = max((n for n in first if n.startswith("gradient")), key=lambda n: first[n].ndim == 2)
            fixed = asked(probe, answers.answer, subject, built, *rest, doing="under another seed")
            if torch.equal(first[name], later[name]) and not torch.equal(first[name], fixed[name]):
                raise Violation(
                    "the noise is the same whatever was drawn since torch.manual_seed, but should follow the "
                    "generator's "
                    "state: it is seeded by the seed",
                    check=(first[name] != later[name]).any(),
                )
