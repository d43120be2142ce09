"""Calls that are not the first, other samples and other modes of the user's own module."""

from __future__ import annotations

import torch

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, learned, passes_of
from sdtps_ref.properties.watching.passes import alone, first_difference, samples_of
from sdtps_ref.properties.watching.record import Watched, watch
from sdtps_ref.properties.watching.sites import Site, find_sites
from sdtps_ref.properties.watching.subject import Subject

STEPS = 3  # of training, one after another


@law(needs="call", depends="call.eval_reaches_every_part", domain=CALL)
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
    one, other = _after_others(subject) or _after_itself(subject)
    if not _same(one, other):
        call = first_difference(one, other)
        raise Violation(
            "the output for the same input and seed changes after a call with another input",
            where=call.place if call else None,
            effect="results depend on what was computed before, and cannot be reproduced",
            fix="compute it anew in every call",
        )


@law(needs="call", depends="call.repeats", domain=CALL)
def steps_follow_each_other(probe: Probe) -> None:
    """After a training step, another one: what a step leaves behind does not hold on to the step's graph.

    Why: a buffer that is updated with a tensor which has a gradient takes the graph along. The second `backward` goes
    through the first step again, whose tensors are freed, and raises; with `retain_graph=True` memory grows until it
    is gone.
    Breaks when: a running mean, a memory bank or the last decision is kept without `detach()` and is read later.
    Remedy: `self.mean.mul_(m).add_((1 - m) * score.mean().detach())`.
    """
    subject = passes_of(probe).subject.copy()
    if subject is None:
        raise Unsupported("the module cannot be copied")
    kept: SourceLine | None = None
    for step in range(STEPS):
        seen = watch(subject.run(step, going_on=True), step)
        outputs = [t for t in seen.outputs if t.requires_grad and t.numel()]
        if not outputs:
            raise Unsupported("nothing that is returned has a gradient")
        try:
            sum((t * torch.randn_like(t)).sum() for t in outputs).backward()  # type: ignore[union-attr]
        except RuntimeError as error:
            if step and "second time" in str(error):
                raise Violation(
                    "the second training step fails: something kept from the first one holds on to its graph",
                    where=kept,
                    effect="training stops at the second backward pass, or memory grows with every step",
                    fix="detach what is kept for later calls: self.mean = mean.detach()",
                ) from None
            raise Unsupported("its backward pass raises") from error
        kept = kept or _line_that_keeps(subject, seen)


def _line_that_keeps(subject: Subject, seen: Watched) -> SourceLine | None:
    """The line that made a tensor which the module now holds with the graph it comes from."""
    assert subject.module is not None
    for part in subject.module.modules():
        for value in (*vars(part).values(), *part._buffers.values()):
            if isinstance(value, torch.Tensor) and value.grad_fn is not None:
                number = seen.watch.number_of(value)
                if number is not None and (place := seen.calls[number].place) is not None:
                    return place
    return None


def _after_others(subject: Subject) -> tuple[Watched, Watched] | None:
    """The same call after one with other values, and after one with those in other places: a counter, or a schedule
    that goes on with every call, is the same in both; buffers are put back to where they started. None where the module
    cannot be copied."""
    first, second = subject.fresh(), subject.fresh()
    if first is None or second is None:
        return None
    found = []
    for made, seed, changed in ((first, 3, True), (second, 0, False)):
        start = made.state()
        for training in (True, False):  # in either mode something may be kept
            watch(made.run(seed, training=training, changed=changed), seed)
        watch(made.run(seed, training=True, changed=changed), seed)
        made.put_back(start)
        found.append(watch(made.run(0, training=True), 0))
    return found[0], found[1]


def _after_itself(subject: Subject) -> tuple[Watched, Watched]:
    """The same call after one with another input, and after itself; the first again where that is no more the same
    once it is repeated, as with a counter."""
    run, between = subject.run(0, training=True), subject.run(3, training=True, changed=True)
    watch(between, 3)
    one = watch(run, 0)
    other = watch(run, 0)
    watch(between, 3)
    again = watch(run, 0)
    return (one, other) if _same(one, again) else (one, one)


@law(needs="call", depends=("call.eval_is_deterministic", "call.repeats", "call.eval_leaves_no_trace"), domain=CALL)
def samples_are_independent(probe: Probe) -> None:
    """In eval mode, a sample alone gives what it gives in a batch.

    Why: a prediction that depends on what else is in the batch cannot be evaluated, and leaks between samples.
    Breaks when: a statistic, a softmax or a threshold is taken over the batch, or indices of one sample serve all.
    Remedy: reduce over the tokens of a sample only (dim=-1, keepdim=True).
    """
    passes = passes_of(probe)
    subject = passes.subject
    _, sites = learned(probe)  # pruning without a learned selection is often written for one sample
    axis = int(any(site.time_first for site in sites))
    batch = samples_of(subject, axis)
    if not any(site.decision is not None or _ranks_each_sample(site, batch) for site in sites):
        raise Unsupported("what is chosen is not chosen for each sample, as where experts choose among all tokens")
    together = watch(subject.run(0, training=False), 0)
    cut = [(row, alone(subject, training=False, row=row, axis=axis)) for row in (0, -1)]
    if all(single is None for _, single in cut):
        raise Unsupported("its arguments cannot be cut to one sample")
    for row, single in cut:
        if single is not None:
            _expect_the_same_alone(together, single, row, axis, batch)


def _ranks_each_sample(site: Site, batch: int) -> bool:
    return site.kind == "ranking" and site.ranked.dim() == 2 and len(site.ranked) == batch


def _expect_the_same_alone(together: Watched, single: Watched, row: int, axis: int, batch: int) -> None:
    alike = len(together.calls) == len(single.calls)
    scores = (
        [(a.score, b.score) for a, b in zip(find_sites(together), find_sites(single), strict=False)] if alike else []
    )
    for whole, part in [*scores, *zip(together.outputs, single.outputs, strict=False)]:
        if not (whole.numel() and whole.dim() > axis and part.dim() == whole.dim() and part.shape[axis] == 1):
            continue
        if whole.shape[axis] != batch:
            continue  # a row for something else, as for each of the graphs that all nodes are packed with
        own = whole.select(axis, row).unsqueeze(axis)
        if own.shape != part.shape:
            continue  # as long as its longest sample: what is padded may be longer in a batch
        gap = (own.detach() - part.detach()).abs().max()
        if gap > 1e-3 * (whole.detach().abs().max() + 1e-6):
            call = first_difference(together, single, row=row, axis=axis) if alike else None
            raise Violation(
                f"the output of the {'first' if row == 0 else 'last'} sample is off by {float(gap):.2g} when it is "
                "alone: samples mix",
                where=call.place if call else None,
                effect="a prediction depends on what else is in its batch",
                fix="reduce over the tokens of one sample: dim=-1, keepdim=True",
            )


def _same(one: Watched, other: Watched) -> bool:
    pairs = list(zip(one.outputs, other.outputs, strict=False))
    return len(one.outputs) == len(other.outputs) and all(
        a.shape == b.shape and torch.allclose(a.detach(), b.detach(), rtol=1e-4, atol=1e-5, equal_nan=True)
        for a, b in pairs
    )
