"""The values that parameters and buffers start with: where they got them, and zeros behind a score."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.source_line import SourceLine, line_that_sets
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Watch, watch
from sdtps_ref.properties.watching.sites import Site
from sdtps_ref.properties.watching.storage import is_there, storage_of
from sdtps_ref.properties.watching.subject import Subject


def starts_at_zero(reading: Reading, site: Site) -> bool:
    """Whether a weight on the way to the score is all zeros, as of layers that are to start with nothing."""
    return any(
        isinstance(leaf, nn.Parameter) and leaf.dim() > 1 and is_there(leaf) and not leaf.detach().any()
        for leaf in reading.upstream(site.score_call, site.score)
    )


def where_started(subject: Subject, names: list[str]) -> list[SourceLine]:
    """The lines that gave these their first values, seen as the module is built once more; else those that set them."""
    found = _seen(subject, names)
    module = subject.module
    assert module is not None
    for name in names if not found else ():
        owner, _, own = name.rpartition(".")
        line = line_that_sets(type(module.get_submodule(owner)), own)
        if line is None and owner:  # of a layer of torch's own: where the part that has it sets the layer
            above, _, layer = owner.rpartition(".")
            line = line_that_sets(type(module.get_submodule(above)), layer)
        if line is not None:
            found.append(line)
    return found


def _seen(subject: Subject, names: list[str]) -> list[SourceLine]:
    build = _builder(subject)
    try:
        if build is None:
            return []
        with torch.random.fork_rng(devices=[]):
            watched = watch(build)
        made = dict(watched.output.named_parameters()) | dict(watched.output.named_buffers())
    except Exception:
        return []
    lines = [_line(watched.watch, made[name]) for name in names if name in made]
    return [line for line in lines if line is not None]


def _line(watched: Watch, tensor: Tensor) -> SourceLine | None:
    """Of the last call that wrote into it, else of the one that made it."""
    where = storage_of(tensor)
    number = watched._writer.get(where, watched._owner.get(where))
    return None if number is None else watched.calls[number].place


def _builder(subject: Subject) -> Callable[[], Any] | None:
    if subject.rebuild is not None:
        return subject.rebuild
    recipe, module = subject.recipe, subject.module
    if recipe is None or recipe.arguments is None or module is None or type(module).__name__ != recipe.name:
        return None
    arguments = copy.deepcopy(recipe.arguments)
    return lambda: type(module)(**arguments)
