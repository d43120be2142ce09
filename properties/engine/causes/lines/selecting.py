"""The lines of a watched call that select tokens: of score, noise, soft mask, ranking, D and gather."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor

from sdtps_ref.properties.engine.causes.lines.flow import Flow
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.watching.graph import RANDOM, SAME_NUMBERS
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.sites import Site

SOFT = ("softmax", "sigmoid", "log_softmax", "gumbel_softmax", "softmin")
THRESHOLDS = ("ge", "gt", "le", "lt", "__ge__", "__gt__", "__le__", "__lt__", "greater_equal", "greater", "less",
              "less_equal")  # fmt: skip
PICKS = ("gather", "take_along_dim", "index_select", "__getitem__", "embedding", "index")
POOLS = ("matmul", "__matmul__", "bmm", "einsum", "baddbmm", "sum", "mean")
LOGS = ("log", "log2", "log1p", "log_softmax")

Parts = Iterator[tuple[str, Call | SourceLine | None]]  # the name of a part, and a call that is it, or its line


def selecting(flow: Flow) -> Parts:
    """Of each choice of tokens: its parts."""
    for site in flow.reading.sites:
        if site.kind == "given":
            continue
        yield "choice", site.choice
        score = flow.number_of(site.score)
        yield from _threshold(flow, site)
        if site.decision_call is not None:
            yield "decision", site.decision_call
            yield from _soft(flow, site.decision_call, score)
        yield from gathers(flow, site)
        yield from _extra(flow, site)


def _threshold(flow: Flow, site: Site) -> Parts:
    """The comparison that makes D, where a ranking is there too."""
    for call in (site.choice, *site.further):
        enters = site.decision_call is not None and flow.depends(site.decision_call, call)
        if call.name in THRESHOLDS and enters and any(_same_size(t, site.ranked) for t in call.tensors):
            yield "threshold", call


def _soft(flow: Flow, decision: Call, score: int | None) -> Parts:
    behind = flow.behind(decision, of=score)
    soft = next((call for call in behind if call.name in SOFT), None)
    exp = next((call for call in behind if call.name in ("exp", "exp_")), None)
    if soft is None and exp is None:
        # Behind a function with a backward of its own no data flow is seen: what the same lines call stands for it.
        soft = next(
            (c for c in flow.calls if c.name in SOFT and flow.depends(c, score) and _together(c, decision)), None
        )
    if exp is not None and soft is None:
        yield "exp", exp
    soft = soft or exp
    if soft is None:
        return
    yield "soft", soft
    before = flow.behind(soft)
    yield from (
        ("log", call) for call in before if call.name in LOGS and flow.depends(call, score) and _alone(flow, call)
    )
    draws = [call for call in before if call.name in RANDOM]
    yield from (("draw", call) for call in draws[:1])
    yield from _positions(flow, decision)


def _positions(flow: Flow, decision: Call) -> Parts:
    """Positions that are counted in a floating dtype, on the way to D."""
    for call in flow.behind(decision):
        floating = call.tensors and call.tensors[0].is_floating_point()
        made = flow.number_of(call.read[0]) if call.read and call.name in SAME_NUMBERS else call.number
        if floating and made is not None and flow.calls[made].name == "arange":
            yield "positions", call


def _alone(flow: Flow, call: Call) -> bool:
    """Whether no draw went into it: a logarithm of the score, not one of noise."""
    return not any(before.name in RANDOM for before in flow.behind(call))


def _together(one: Call, other: Call) -> bool:
    return bool(one.stack and other.stack and one.stack[0][0] == other.stack[0][0])


def gathers(flow: Flow, site: Site) -> Parts:
    """The calls that pick the kept tokens, and those that pick D at them: the first of each."""
    picked: dict[str, Call] = {}
    for name, call in picks(flow, site):
        picked.setdefault(name, call)
    yield from picked.items()


def picks(flow: Flow, site: Site) -> Iterator[tuple[str, Call]]:
    """All calls that pick by this choice: tokens, or D."""
    chosen = [site.choice.number, *(call.number for call in site.further)]
    made = site.decision_call.number if site.decision_call is not None else None
    for call in flow.calls[site.choice.number + 1 :]:
        source, by = _source(call), [flow.number_of(t) for t in call.read[1:]]
        if source is None or not any(flow.depends(n, c) for n in by for c in chosen):
            continue
        if made is not None and flow.depends(flow.number_of(source), made):
            if source.dim() == 2:
                yield "gather of D", call
        elif call.tensors and call.tensors[0].is_floating_point() and source.dim() >= 2 and not _is_score(source, site):
            yield "gather", call


def _source(call: Call) -> Tensor | None:
    if call.name not in PICKS or len(call.read) < 2:
        return None
    return call.read[0] if call.read[0].is_floating_point() else None


def _is_score(tensor: Tensor, site: Site) -> bool:
    return tensor.shape == site.ranked.shape


def _same_size(one: Tensor, other: Tensor) -> bool:
    return one.numel() == other.numel()


def _extra(flow: Flow, site: Site) -> Parts:
    """Where the score is masked for the extra token: the last step before its softmax that the choice enters."""
    decision = site.decision_call
    score = flow.number_of(site.score)
    for call in flow.calls[site.choice.number + 1 :]:
        if call.name not in SOFT[:1] or not flow.depends(call, site.choice) or not flow.depends(call, score):
            continue
        if decision is not None and (flow.depends(decision, call) or flow.depends(call, decision)):
            continue
        if not any(later.name in POOLS for later in flow.after(call)):
            continue
        yield "extra softmax", call
        for before in flow.behind(call):
            if flow.depends(before, site.choice) and flow.enters(before, site.choice):
                yield "extra mask", before
                break


def places(parts: Iterable[tuple[str, Call | SourceLine | None]]) -> dict[str, SourceLine | None]:
    """Each part, with its line, if that is one: what stands on several lines is on none for sure."""
    found: dict[str, set[SourceLine]] = {}
    for name, part in parts:
        place = part.place if isinstance(part, Call) else part
        found.setdefault(name, set()).update([place] if place is not None else [])
    return {name: next(iter(lines)) if len(lines) == 1 else None for name, lines in found.items()}
