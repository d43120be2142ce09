"""Where in the user's files the parts of each method are: `lines.<method>`, by part; and what a call leaves changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

from sdtps_ref.properties.engine.causes.bench import Bench
from sdtps_ref.properties.engine.causes.lines.calls import ORDER, OneCall, one_call
from sdtps_ref.properties.engine.causes.lines.counting import lines_that_make
from sdtps_ref.properties.engine.causes.lines.crossing import crossed_score, crossing
from sdtps_ref.properties.engine.causes.lines.flow import Flow
from sdtps_ref.properties.engine.causes.lines.following import changes, last_lines
from sdtps_ref.properties.engine.causes.lines.over_batch import over_batch
from sdtps_ref.properties.engine.causes.lines.pooling import narrowed, pooling
from sdtps_ref.properties.engine.causes.lines.remembering import remembering
from sdtps_ref.properties.engine.causes.lines.selecting import Parts, places, selecting
from sdtps_ref.properties.kit.global_state import preserve_settings
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.watching.record import Call, tensors_in, watch
from sdtps_ref.properties.watching.subject import Subject

SIZES = ((7, 4), (22, 15), (25, 7), (9, 2))  # of tokens, and kept of them, as `choice.count` tries
NEAR, FAR = 1e-10, 1e-4  # of tokens of about one: float32 sees the second step alone


def left(bench: Bench) -> dict[str, Any]:
    """`left.<thing>`: by which line a call leaves the thing changed, which no call should touch."""
    found: dict[str, Any] = {}
    for method in _methods(bench):
        for training in (True, False):
            subject = one_call(bench, method, training=training).subject
            args, kwargs = subject.inputs()
            if subject.module is not None:
                subject.module.train(training)
            given = [tensor * 1 for tensor in tensors_in((args, kwargs)) if tensor.is_floating_point()]
            again = iter(given)
            own = partial(_swapped, again=again)
            ready = Subject(method, subject.callable, lambda seed: ([], {}))
            call = partial(_called, ready, own(args), own(kwargs))
            for thing, place in changes(call, given).items():
                mode = "train" if training else "eval"
                found.setdefault(f"left.{thing}", {"where": f"{method}, in {mode} mode", "place": place})
    return found


def _called(subject: Subject, args: Any, kwargs: Any) -> Any:
    return Subject(subject.name, partial(subject.callable, *args, **kwargs), subject.make).run()()


def _swapped(tree: Any, again: Iterable[torch.Tensor]) -> Any:
    from torch.utils._pytree import tree_map

    return tree_map(
        lambda leaf: next(again) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() else leaf,  # type: ignore[call-overload]
        tree,
    )


def parts(bench: Bench) -> dict[str, Any]:
    """`lines.<method>`: part by part, [file, line, text]; None for a part whose line is not known."""
    found: dict[str, Any] = {}
    for method in _methods(bench):
        for training in (True, False):
            with preserve_settings(method, set()):  # what one call leaves behind is not read in the next
                calls = places(_tried(partial(_parts_of, one_call(bench, method, training=training), training)))
            known = found.setdefault(f"lines.{method}", {})
            for name, place in calls.items():
                known[name] = known.get(name) or (place and [place.file, place.line, place.text])
    return found


def _methods(bench: Bench) -> list[str]:
    return [method for method in ORDER if bench.has(method)]


def _tried(step: Callable[[], Parts]) -> list[tuple[str, Call | SourceLine | None]]:
    """What it finds before it fails, if it does: code that is wrong may raise anywhere."""
    found = []
    try:
        for part in step():
            found.append(part)
    except Exception:
        return found
    return found


def _parts_of(call: OneCall, training: bool) -> Parts:
    if training:
        flow = Flow(call.subject.reading(0))
        steps: list[Callable[[], Parts]] = [partial(narrowed, flow)]
        if call.decision is None:
            steps += [partial(step, flow) for step in (selecting, over_batch, crossing, crossed_score, _backward)]
        steps += [partial(pooling, flow, made) for made in _decisions(call, flow)]
        for step in steps:
            yield from _tried(step)
    yield from _tried(partial(remembering, call.subject, training))


def _decisions(call: OneCall, flow: Flow) -> list[Call]:
    """The calls that made D, or handed it in."""
    if call.decision is None:
        return [site.decision_call for site in flow.reading.sites if site.decision_call is not None]
    handed = [each for each in flow.calls if each.name == "mul" and not each.stack and not each.inputs]
    return handed[call.decision : call.decision + 1]


def _backward(flow: Flow) -> Parts:
    """What of the user's runs in backward, the last of it: a backward that is written by hand."""
    for site in flow.reading.sites:
        if site.decision is None or not site.decision.requires_grad:
            continue
        ones = torch.ones_like(site.decision)
        back = partial(torch.autograd.grad, site.decision, site.score, ones, retain_graph=True, allow_unused=True)
        yield from (("backward", place) for place in last_lines(back)[-1:])


def hidden(bench: Bench) -> dict[str, Any]:
    """`parameters.hidden`: parameters that take part, and that what a factory returned does not list."""
    most = 0
    for method in _methods(bench):
        subject = one_call(bench, method, dtype="float32").subject  # which is what new parameters are
        if subject.module is None:
            continue
        known = {id(parameter) for parameter in subject.module.parameters()}
        used = {id(t) for each in subject.reading(0).watched.calls for t in each.outside if isinstance(t, nn.Parameter)}
        most = max(most, len(used - known))
    return {"parameters.hidden": most}


def where_all_are_kept(bench: Bench) -> dict[str, Any]:
    """`all_kept.trained`: whether D carries a gradient where K = N; `all_kept.place`: where it is made."""
    if not bench.has("selector"):
        return {}
    call = one_call(bench, "selector", keep=bench.probe().case.num_tokens)
    watched = watch(call.subject.run(0), 0)
    decision = watched.output.decision
    made = watched.watch.number_of(decision)
    place = None if made is None else watched.calls[made].place
    found: dict[str, Any] = {"all_kept.trained": decision.requires_grad}
    return found | {"all_kept.place": place and [place.file, place.line, place.text]}


def count(bench: Bench) -> dict[str, Any]:
    """`keep.place`: where a K that is not the one that was asked for is made in the call, if that is one line."""
    for num_tokens, keep in SIZES if bench.has("selector") else ():
        call = one_call(bench, "selector", num_tokens=num_tokens, keep=keep, dim=64, batch=3)
        run = call.subject.run(0)
        kept = run().selected_tokens.shape[1]
        if kept != keep:
            lines = set(lines_that_make(kept, run))
            place = next(iter(lines)) if len(lines) == 1 else None
            return {"keep.place": place and [place.file, place.line, place.text]}
    return {}


def rounding(bench: Bench) -> dict[str, Any]:
    """`float64.rounds`: whether tokens that move by 1e-10 move what is returned otherwise than those that move more."""
    found: dict[str, Any] = {}
    for method in ("aggregator", "pipeline"):
        if not bench.has(method):
            continue
        subject = one_call(bench, method, training=False).subject
        args, _ = subject.inputs()
        tokens, *others = [arg.detach() for arg in args]
        direction = draw("normal", tuple(tokens.shape), 3).to(tokens)
        still, near, far = (subject.callable(tokens + step * direction, *others) for step in (0.0, NEAR, FAR))
        slope, owed = (near - still) / NEAR, (far - still) / FAR
        off = (slope - owed).abs().amax() > 0.01 * owed.abs().amax()
        found["float64.rounds"] = found.get("float64.rounds", False) or bool(off)
    return found


EXAMINATIONS = (left, parts, hidden, where_all_are_kept, count, rounding)
