"""Train and eval mode of the user's own module agree on what they keep, and evaluation leaves no trace."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine, line_that_sets
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.choosing import CHOOSES, LEAVES, is_hard
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import tensors_in
from sdtps_ref.properties.watching.roads import kept_tokens
from sdtps_ref.properties.watching.sites import Site, find_sites

BETWEEN = 5  # calls of another input
FAR = 6.0  # standard deviations of the scores, by which those of dropped tokens are moved


@law(needs="call", domain=CALL)
def eval_reaches_every_part(probe: Probe) -> None:
    """After `module.eval()` every part of the module is in eval mode.

    Why: a dropout or a noise that stays in train mode makes every prediction random, and every metric too low.
    Breaks when: `train(mode)` is overridden and does not hand on to the parts.
    Remedy: `super().train(mode)` first, then what else is to be done.
    """
    module = passes_of(probe).subject.module
    if module is None:
        raise Unsupported("a function has no eval mode")
    module.eval()
    left = [name for name, part in module.named_modules() if part.training]
    module.train()
    if left:
        owner = next((type(part) for part in module.modules() if "train" in vars(type(part))), type(module))
        name = left[0] or type(module).__name__
        raise Violation(
            f"{name} and {len(left) - 1} other parts stay in train mode after .eval()"
            if len(left) > 1
            else f"{name} stays in train mode after .eval()",
            where=_line_of(owner, "train") or _line_of(owner, "eval"),
            effect="noise and dropout go on when the model is used",
            fix="super().train(mode) in a train() of your own",
        )


def _line_of(owner: type, method: str) -> SourceLine | None:
    function = vars(owner).get(method)
    try:
        return SourceLine(inspect.getsourcefile(function) or "", inspect.getsourcelines(function)[1])  # type: ignore[arg-type]
    except (OSError, TypeError):
        return None


@law(needs="call", depends="call.backward_stays_in_its_sample", domain=CALL)
def eval_keeps_what_training_keeps(probe: Probe) -> None:
    """Tokens that are kept in eval mode are those that the gradient of D, while training, says to keep.

    Why: where the two modes read the score in opposite directions, every step of training makes the model keep what it
    should drop. Training looks right, and so does the loss; only evaluation is bad.
    Breaks when: training takes the first of two channels for "keep" and evaluation ranks by the second, or one of them
    ranks in ascending order.
    Remedy: rank in eval mode by what is "keep" while training, in descending order.
    """
    passes = passes_of(probe)
    reading, sites = decided(probe)
    later = passes.reading(training=False)
    for site in sites:
        towards = _towards_keeping(reading, site)
        number = None if site.score_call is None else _same_call(reading, later, site.score_call.number)
        if towards is None or number is None:
            continue
        score = next((t for t in later.watched.calls[number].tensors if t.shape == site.score.shape), None)
        if score is not None and (other := _turned(later, number, score.detach(), towards)) is not None:
            raise Violation(
                "eval mode keeps the tokens that training learns to drop",
                where=other.place,
                effect="the better it is trained, the worse are the tokens that are kept when it is used",
                fix="in eval mode rank by what stands for keeping while training, in descending order",
            )


def _same_call(reading: Reading, later: Reading, number: int) -> int | None:
    """The number of that call in a pass that makes the same calls up to it, save that gradients are off."""
    first = [call.name for call in reading.watched.calls[: number + 1]]
    others = [call for call in later.watched.calls if call.name != "_set_grad_enabled"][: len(first)]
    return others[-1].number if [call.name for call in others] == first else None


def _turned(later: Reading, number: int, score: Tensor, towards: Tensor) -> Site | None:
    """The choice in eval mode that keeps dropped tokens once their scores are moved against keeping, and only then."""
    # The first choice that it has a part in; those that come later are made of this one too.
    own = next((i for i, site in enumerate(later.sites) if later.graph.depends(site.choice.number, number)), None)
    kept = None if own is None else kept_tokens(later, later.sites[own])
    if own is None or kept is None or kept.shape != score.shape[:2]:
        return None
    dropped = ~kept
    far = FAR * float(score.std() + 1e-6)
    moved = dropped.reshape(*kept.shape, *([1] * (score.dim() - 2))) * towards * far
    back = []
    for way in (moved, -moved):
        watched = later.again({number: partial(torch.add, way)})
        sites = find_sites(watched)
        now = kept_tokens(Reading(watched, sites, later.run, later.seed), sites[own]) if own < len(sites) else None
        back.append(-1.0 if now is None or now.shape != kept.shape else float((now & dropped).sum()))
    return later.sites[own] if back[0] == 0 < back[1] else None


def _towards_keeping(reading: Reading, site: Site) -> Tensor | None:
    """By entry of a score (B N or B N 2), in which direction it makes its token be kept; as signs, for all alike."""
    kept = _kept(reading, site)
    if kept is None or not site.score.requires_grad or site.score.dim() not in (2, 3) or site.time_first:
        return None
    if site.score.shape[:2] != kept.shape[:2]:
        return None
    cotangent = torch.zeros_like(kept)
    cotangent[:, 0] = 1
    slope = torch.autograd.grad(kept, site.score, cotangent, retain_graph=True, allow_unused=True)[0]
    if slope is None:
        return None
    signs = slope.detach()[:, 0].sign()
    alike = bool((signs == signs[:1]).all()) and bool(signs.any())
    return signs[0].expand_as(site.score[:, 0]).unsqueeze(1).expand_as(site.score) if alike else None


def _kept(reading: Reading, site: Site) -> Tensor | None:
    """D as B N, which may be one channel of it."""
    if site.decision is not None and site.decision.dim() == 2:
        return site.decision
    assert site.decision_call is not None
    for number in reading.graph.descendants(site.decision_call.number):
        call = reading.watched.calls[number]
        for tensor in call.tensors if call.name in ("__getitem__", "select", "unbind", "squeeze") else ():
            if tensor.dim() == 2 and tensor.requires_grad and is_hard(tensor):
                return tensor
    return None


@law(needs="call", domain=CALL)
def eval_chooses_too(probe: Probe) -> None:
    """A module that makes a hard choice while training makes one in eval mode as well.

    Why: what is used is then another function than what was trained, and nothing is saved: no token is dropped.
    Breaks when: eval mode weighs the tokens by the soft mask, or hands all of them on.
    Remedy: the hard mask in both modes; the soft half of D is for its gradient alone.
    """
    passes = passes_of(probe)
    decided(probe)
    if passes.subject.module is None:
        raise Unsupported("a function has no eval mode")
    calls = passes.reading(training=False).watched.calls
    if any(call.name in (*CHOOSES, *LEAVES, "kthvalue", "quantile") for call in calls):
        return
    soft = [call for call in calls if call.name in ("softmax", "sigmoid", "log_softmax") and call.place is not None]
    raise Violation(
        "in eval mode nothing is chosen: no ranking, threshold or largest is taken, as it is while training",
        where=soft[-1].place if soft else None,
        effect="no token is dropped when it is used, and it is another function than the one that was trained",
        fix="use the hard mask in eval mode too",
    )


@law(needs="call", depends="call.eval_is_deterministic", domain=CALL)
def eval_leaves_no_trace(probe: Probe) -> None:
    """In eval mode, a call gives what it gave before others of other inputs.

    Why: what evaluation leaves behind makes a result depend on what was evaluated before, and on the order.
    Breaks when: a running statistic, a threshold or a memory is updated in eval mode too.
    Remedy: `if self.training:` around the update.
    """
    decided(probe)
    subject = passes_of(probe).subject.copy()
    if subject is None or subject.module is None:
        raise Unsupported("the module cannot be copied")
    args, kwargs = subject.make(0)
    others = tree_map(_larger, subject.make(3))
    before = {name: value.detach().clone() for name, value in subject.module.named_buffers()}
    subject.module.eval()
    answers = []
    with torch.no_grad():
        for between in (0, BETWEEN):
            for _ in range(between):
                subject.callable(*others[0], **others[1])
            torch.manual_seed(0)
            answers.append(tensors_in(subject.callable(*args, **kwargs)))
    apart = [float((a - b).abs().max()) for a, b in zip(*answers, strict=False) if _compared(a, b)]
    if max(apart, default=0.0) <= 1e-5 * max((float(a.abs().max()) for a in answers[0] if a.numel()), default=1.0):
        return
    changed = [name for name, value in subject.module.named_buffers() if not _equal(before.get(name), value)]
    raise Violation(
        f"in eval mode the same input gives another answer after other calls, off by {max(apart):.2g}"
        + (f": they changed {changed[0]}" if changed else ""),
        where=_line_that_changes(subject.module, changed[0]) if changed else None,
        effect="a result depends on what was evaluated before it, and in which order",
        fix="update what is kept under `if self.training:` alone",
    )


def _larger(value: Any) -> Any:
    return 3 * value if isinstance(value, Tensor) and value.is_floating_point() else value


def _compared(one: Tensor, other: Tensor) -> bool:
    finite = one.is_floating_point() and one.numel() > 0 and bool(one.isfinite().all())
    return finite and one.shape == other.shape


def _equal(one: Tensor | None, other: Tensor) -> bool:
    return one is not None and one.shape == other.shape and torch.equal(one, other)


def _line_that_changes(module: torch.nn.Module, buffer: str) -> SourceLine | None:
    owner, _, name = buffer.rpartition(".")
    return line_that_sets(type(module.get_submodule(owner)), name, last=True)
