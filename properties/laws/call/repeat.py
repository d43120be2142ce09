"""Calls that are not the first, other seeds, other samples, other modes of the user's own module."""

from __future__ import annotations

import numpy as np
import torch

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.passes import alone, first_difference
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Watched, watch
from sdtps_ref.properties.watching.sites import Site, find_sites

SHARED_NOISE = "all samples of a batch get the same noise"
FROZEN_NOISE = "the noise is the same in every call"


@law(needs="call", domain=CALL)
def eval_is_deterministic(probe: Probe) -> None:
    """In eval mode, another seed gives the same output: noise is for training.

    Why: what is kept should depend on the input alone once training is over; otherwise metrics change from run to run.
    Breaks when: noise is drawn whatever the mode, and tokens are ranked by the noisy score.
    Remedy: add noise `if self.training` only.
    """
    passes = passes_of(probe)
    if passes.subject.module is None:
        raise Unsupported("a function has no eval mode")
    decided(probe)  # sampling that is no straight-through selection may be meant
    run = passes.subject.run(0, training=False)
    one, other = watch(run, 0), watch(run, 1)
    if _same(one, other):
        return
    call = first_difference(one, other)
    raise Violation(
        "in eval mode the output changes with the seed: noise is drawn there too, and decides what is kept",
        where=call.place if call else None,
        effect="metrics and predictions change from run to run",
        fix="add noise in train mode only: if self.training: ...",
    )


@law(needs="call", domain=CALL)
def repeats(probe: Probe) -> None:
    """The same input, seed and starting state give the same output, whatever was computed in between.

    Why: an answer that depends on earlier calls cannot be reproduced, and a gradient taken of it is another's.
    Breaks when: a result is cached by shape or kept from the call before.
    Remedy: compute it anew; keep in buffers only what is meant to change.
    """
    passes = passes_of(probe)
    subject = passes.subject
    if subject.module is None:
        raise Unsupported("what a closure keeps cannot be put back to where it started")
    run, between = subject.run(0, training=True), subject.run(3, training=True)
    watch(between, 3)
    one = watch(run, 0)
    other = watch(run, 0)  # after itself, where the one before came after another input
    watch(between, 3)
    again = watch(run, 0)
    if not _same(one, other) and _same(one, again):
        call = first_difference(one, other)
        raise Violation(
            "the output for the same input and seed changes after a call with another input",
            where=call.place if call else None,
            effect="results depend on what was computed before, and cannot be reproduced",
            fix="compute it anew in every call",
        )


@law(needs="call", depends="call.eval_is_deterministic", domain=CALL)
def samples_are_independent(probe: Probe) -> None:
    """In eval mode, a sample alone gives what it gives in a batch.

    Why: a prediction that depends on what else is in the batch cannot be evaluated, and leaks between samples.
    Breaks when: a statistic, a softmax or a threshold is taken over the batch, or indices of one sample serve all.
    Remedy: reduce over the tokens of a sample only (dim=-1, keepdim=True).
    """
    passes = passes_of(probe)
    subject = passes.subject
    decided(probe)  # pruning without a learned selection is often written for one sample
    together = watch(subject.run(0, training=False), 0)
    single = alone(subject, training=False)
    if single is None or len(single.calls) != len(together.calls):
        raise Unsupported("its arguments cannot be cut to one sample")
    scores = [(a.score, b.score) for a, b in zip(find_sites(together), find_sites(single), strict=False)]
    for whole, part in [*scores, *zip(together.outputs, single.outputs, strict=False)]:
        if (
            whole.numel()
            and whole.dim()
            and part.dim() == whole.dim()
            and part.shape[1:] == whole.shape[1:]
            and part.shape[0] == 1
        ):
            gap = (whole[:1].detach() - part.detach()).abs().max()
            if gap > 1e-3 * (whole.detach().abs().max() + 1e-6):
                call = first_difference(together, single, rows=1)
                raise Violation(
                    f"the first sample's output is off by {float(gap):.2g} when it is alone: samples mix",
                    where=call.place if call else None,
                    effect="a prediction depends on what else is in its batch",
                    fix="reduce over the tokens of one sample: dim=-1, keepdim=True",
                )


@law(needs="call", domain=CALL)
def noise_is_fresh(probe: Probe) -> None:
    """Noise is drawn anew for every sample and every call.

    Why: noise that all samples share, or that was drawn once, explores nothing: the same tokens win every time.
    Breaks when: noise is drawn for one row and expanded, kept in a buffer, or drawn when the module is built.
    Remedy: draw it in the forward pass, in the shape of the score: `torch.rand_like(score)`.
    """
    passes = passes_of(probe)
    one, other = passes.reading(same=True), passes.other_noise(same=True)
    for site, again in zip(one.sites, other.sites, strict=False):
        if site.decision is None or again.decision is None:
            continue
        first, second = passes.mask(site), passes.mask(again)
        if first.kind != "softmax" or second.kind != "softmax" or len(first.probabilities) < 2:
            continue
        rows, later = (torch.stack(mask.probabilities).log().numpy() for mask in (first, second))
        score = site.score.detach().reshape(len(rows), -1).double().cpu().numpy()
        if score.shape != rows.shape or not np.allclose(score, score[:1], atol=1e-5):
            continue  # the score itself differs between equal samples: dropout, or a learned position
        place = _noise_line(one.watched, other.watched) or (site.decision_call.place if site.decision_call else None)
        if not np.allclose(rows, later, atol=1e-3):
            if np.allclose(rows, rows[:1], atol=1e-3):
                refuse_noise(SHARED_NOISE, place)
            continue
        noise = rows / first.rate - score
        noise = noise - noise.mean(-1, keepdims=True)
        if np.abs(noise).max() > 0.05 and np.abs(noise).mean() > 0.05:
            refuse_noise(FROZEN_NOISE, _where_kept(one, site))


def _where_kept(reading: Reading, site: Site) -> SourceLine | None:
    """The line between the score and D that reads a tensor which is neither trained nor made in this call."""
    assert site.decision_call is not None
    first = -1 if site.score_call is None else site.score_call.number
    for number in reading.graph.ancestors(site.decision_call.number):
        call = reading.watched.calls[number]
        if number > first and any(
            t.is_floating_point() and t.numel() > 1 and not t.requires_grad for t in call.outside
        ):
            return call.place
    return site.decision_call.place


def refuse_noise(what: str, place: SourceLine | None) -> None:
    """Raise the violation of noise that is not fresh."""
    raise Violation(
        what,
        where=place,
        effect="the same tokens win every time: the selection explores nothing",
        fix="draw noise in the forward pass, one number a token: torch.rand_like(score)",
    )


def _noise_line(one: Watched, other: Watched) -> SourceLine | None:
    call = first_difference(one, other)
    return call.place if call else None


def _same(one: Watched, other: Watched) -> bool:
    pairs = list(zip(one.outputs, other.outputs, strict=False))
    return len(one.outputs) == len(other.outputs) and all(
        a.shape == b.shape and torch.allclose(a.detach(), b.detach(), rtol=1e-4, atol=1e-5, equal_nan=True)
        for a, b in pairs
    )
