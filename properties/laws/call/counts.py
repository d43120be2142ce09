"""How many tokens the user's own call keeps, beside what the module was built with."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of

COUNTS = re.compile(
    r"k|keep|num_keep|n_keep|keep_num|top|topk|top_k|num_kept|num_select|num_selected|n_select|keep_tokens"
    r"|num_keep_tokens|budget"
)
SHARE = re.compile(r"keep_?(ratio|rate|share|fraction)|sparse_ratio|top_?(p|ratio)|(ratio|rate|share)_?(kept|keep)")


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
        if kept.dim() != 2 or kept.numel() != site.ranked.numel() or len(held) != 1:
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

    Why: with K = 30 % of the tokens, 70 % are kept: what was to be saved is not, and every comparison is off.
    Breaks when: `kthvalue(k)`, which counts from the lowest, is taken for the K-th highest; or a share to keep is used
    as a share to drop.
    Remedy: `score.topk(k).values[..., -1:]` for the K-th highest.
    """
    _, sites = decided(probe)
    module = passes_of(probe).subject.module
    if module is None:
        raise Unsupported("a function holds no K")
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


def _held(module: nn.Module, named: re.Pattern[str], kind: type[int] | type[float]) -> set[Any]:
    """Positive numbers of a kind that the module's parts hold under such a name; of floats, shares."""
    return {
        value
        for part in module.modules()
        for name, value in vars(part).items()
        if named.fullmatch(name.lower().strip("_")) and type(value) is kind and value > 0 and (kind is int or value < 1)
    }
