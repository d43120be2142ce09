"""How many tokens the user's own call keeps, beside what the module was built with."""

from __future__ import annotations

import inspect
import re
from typing import Any

from torch import nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.gates import is_turned, line_of_the_bias, made_of_the_logit, mask_of
from sdtps_ref.properties.watching.passes import Passes
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.sites import Site

COUNTS = re.compile(
    r"k|keep|num_keep|n_keep|keep_num|top|topk|top_k|num_kept|num_select|num_selected|n_select|keep_tokens"
    r"|num_keep_tokens|budget"
)
SHARE = re.compile(r"keep_?(ratio|rate|share|fraction)|sparse_ratio|top_?(p|ratio)|(ratio|rate|share)_?(kept|keep)")
# What gates are built with that start open by so much: by its name alone, or where a bias was made of it, too.
SHARES = r"(_?(p|prob|probability|rate|ratio|share|frac|fraction|density))?"
GATE = re.compile(rf"((init|initial|start|prior)_?)?(keep|kept|open){SHARES}(_?(init|initial|start|prior|target))?")
MAY_BE = re.compile(rf"(init|initial|start|prior|target){SHARES}")
START = re.compile(r".*(init|start|prior).*")
OPEN = 0.75  # a share as high as that is where gates start, and not where they are to end
ENOUGH, SEEDS = 300, 12  # tokens over which a share is measured, and passes for that
NEAR, FAR = 0.1, 0.5


@law(needs="call", level="SHOULD", depends="call.keeps_the_highest", domain=CALL)
def keeps_as_many_as_asked(probe: Probe) -> None:
    """Where the module holds K as a whole number, K tokens of every sample are kept.

    Why: one more or one fewer goes unnoticed until a shape depends on it, and every comparison at equal K is off.
    Breaks when: the threshold is the score at index K of a sorted row, which is the K + 1st; or `>` stands for `>=`.
    Remedy: `sorted[..., k - 1]`, or `topk(k).indices`.
    """
    _, sites = decided(probe)
    module = passes_of(probe).subject.module
    if module is None:
        raise Unsupported("a function holds no K")
    held = _held(module, COUNTS, int)
    for site in sites:
        kept = site.by_sample(site.decision.detach() > 0.5)  # type: ignore[union-attr]
        if kept.dim() != 2 or kept.numel() != site.ranked.numel() or len(held) != 1 or site.keeps_all:
            continue
        counts = kept.sum(-1).unique().tolist()
        always = int(kept.all(0).sum())
        (asked,) = held
        if len(counts) == 1 and abs(counts[0] - asked) == 1 and counts[0] - always != asked:
            raise Violation(
                f"{int(counts[0])} tokens of every sample are kept, where the module holds K = {asked}",
                where=site.place,
                effect="every comparison at equal K is off by one token",
                fix="the K-th highest score is sorted_scores[..., k - 1]; or take topk(k).indices",
            )


@law(needs="call", depends="call.keeps_the_highest", domain=CALL)
def keeps_no_complement(probe: Probe) -> None:
    """Where the module holds K, or the share of tokens to keep, it does not drop as many as it should keep.

    Why: with K = 30 % of the tokens, 70 % are kept: what was to be saved is not, and every comparison is off. Gates
    that are to start open and start shut give nothing to learn from.
    Breaks when: `kthvalue(k)`, which counts from the lowest, is taken for the K-th highest; a share to keep is used
    as a share to drop; or the bias that gates start with is the logit of the share with the wrong sign.
    Remedy: `score.topk(k).values[..., -1:]` for the K-th highest; `math.log(keep / (1 - keep))` for a bias.
    """
    reading, sites = decided(probe)
    module = passes_of(probe).subject.module
    if module is None:
        raise Unsupported("a function holds no K")
    for site in sites:
        _expect_open_gates(passes_of(probe), module, reading, site)
    held, shares = _held(module, COUNTS, int), _held(module, SHARE, float)
    for site in sites:
        kept = site.by_sample(site.decision.detach() > 0.5)  # type: ignore[union-attr]
        if kept.dim() != 2 or kept.numel() != site.ranked.numel() or len(held) + len(shares) != 1:
            continue
        count, tokens = int(kept[0].sum()), kept.shape[-1]
        asked = float(*held) if held else float(*shares) * tokens
        alike = bool((kept.sum(-1) == count).all())
        if alike and abs(count - (tokens - asked)) <= 1.5 and abs(count - asked) > 2.5:
            raise Violation(
                f"{count} of {tokens} tokens are kept, and {tokens - count} dropped, where {asked:.3g} were to be kept",
                where=site.place,
                effect="as many tokens are kept as were to be dropped",
                fix="kthvalue counts from the lowest: take score.topk(k).values[..., -1:] for the K-th highest",
            )


def _expect_open_gates(passes: Passes, module: nn.Module, reading: Reading, site: Site) -> None:
    """Of gates whose number of kept tokens varies: they do not keep the share that they should drop at first."""
    if passes.subject.recipe is None:
        return  # a step of a training that may be well on its way
    shares = _named(module, GATE) or _built_with(passes, module)
    if len(set(shares.values())) != 1 or site.kind == "ranking" or is_turned(reading, site):
        return
    (asked,) = set(shares.values())
    kept = mask_of(reading, site)
    if kept is None or not _is_of_the_start(module, shares, asked) or not _is_far(float(kept.double().mean()), asked):
        return
    counts, count, seed = set(kept.sum(-1).tolist()), kept.numel(), 0
    total = float(kept.sum())
    while count < ENOUGH and (seed := seed + 1) < SEEDS:
        other = passes.reading(seed)
        found = next((s for s in other.sites if s.choice.place == site.choice.place), None)
        more = None if found is None or found.decision is None else mask_of(other, found)
        if more is None:
            return
        counts, count, total = counts | set(more.sum(-1).tolist()), count + more.numel(), total + float(more.sum())
    if count < ENOUGH or len(counts) < 2 or not _is_far(total / count, asked):
        return
    raise Violation(
        f"{100 * total / count:.0f} % of the tokens are kept at first, where {next(iter(shares))} is {asked:.3g}",
        where=line_of_the_bias(passes, asked) or site.place,
        effect="as many tokens are kept as were to be dropped",
        fix="the bias of a gate that is open with probability keep is math.log(keep / (1 - keep))",
    )


def _is_far(share: float, asked: float) -> bool:
    return abs(share - (1 - asked)) < NEAR and abs(share - asked) > FAR


def _is_of_the_start(module: nn.Module, shares: dict[str, float], asked: float) -> bool:
    """Whether gates are to keep so many at first: its name says so, it is most of them, or a bias was made of it."""
    return asked >= OPEN or any(START.fullmatch(name) for name in shares) or bool(made_of_the_logit(module, asked))


def _named(module: nn.Module, named: re.Pattern[str]) -> dict[str, float]:
    """Shares that the module's parts hold under such names."""
    return {
        name: value
        for part in module.modules()
        for name, value in vars(part).items()
        if named.fullmatch(name.lower().strip("_")) and type(value) is float and 0 < value < 1
    }


def _built_with(passes: Passes, module: nn.Module) -> dict[str, float]:
    """Shares that parts of the module take under such names, by default or as they were given, and that a bias was made
    of: they need not be kept."""
    found: dict[str, float] = {}
    given = (passes.subject.recipe.arguments if passes.subject.recipe else None) or {}
    for owner in {type(part) for part in module.modules() if not type(part).__module__.startswith("torch.")}:
        for name, taken in inspect.signature(owner).parameters.items():
            value = given.get(name, taken.default)
            named = GATE.fullmatch(name.lower()) or MAY_BE.fullmatch(name.lower())
            if named and type(value) is float and 0 < value < 1 and made_of_the_logit(module, value):
                found[name] = value
    return found


def _held(module: nn.Module, named: re.Pattern[str], kind: type[int] | type[float]) -> set[Any]:
    """Positive numbers of a kind that the module's parts hold under such a name; of floats, shares."""
    return {
        value
        for part in module.modules()
        for name, value in vars(part).items()
        if named.fullmatch(name.lower().strip("_")) and type(value) is kind and value > 0 and (kind is int or value < 1)
    }
