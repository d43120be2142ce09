"""What was built, called by trial: by the names of its arguments, then in sizes that would have fitted."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from typing import Any

from torch import nn

from sdtps_ref.properties.watching.arguments import Plan, plans
from sdtps_ref.properties.watching.constructing import Build, builds, quiet
from sdtps_ref.properties.watching.fitting import MANY
from sdtps_ref.properties.watching.mending import said
from sdtps_ref.properties.watching.recipe import Recipe
from sdtps_ref.properties.watching.record import tensors_in, watch
from sdtps_ref.properties.watching.sites import find_sites
from sdtps_ref.properties.watching.subject import Subject

TRIALS = 200  # ways to call one build
LIKELY = 30  # of them, before another way to build is tried
ENOUGH = 40  # of them, once one ran that chooses nothing
FITTED = 80  # further ones, in sizes that errors asked for


class Trial:
    """What calling one build came to. chooses: the first call that chooses tokens; runs: the first that runs at all.

    reason: what the first call raised, the want of a GPU before all else.
    """

    def __init__(self, candidate: Callable[..., Any], build: Build, deadline: float):
        self.chooses: tuple[Plan, Subject] | None = None
        self.runs: Subject | None = None
        self.reason = ""
        self.build = build
        self._candidate, self._deadline = candidate, deadline
        module = build.made if isinstance(build.made, nn.Module) else None
        forward = module is not None and type(module).forward is not nn.Module.forward
        call = build.made.forward if forward else build.made
        self._plans = itertools.islice(plans(call, module, build.edge, lambda: self.runs is not None), TRIALS)
        self._misfits: list[tuple[Plan, str]] = []
        self._tries = 0

    def likely(self) -> Trial:
        """Make the likeliest calls; where one of them runs, as many as are enough."""
        for plan in self._plans:
            if self._ends(plan) or (self._tries >= LIKELY and self.runs is None):
                break
        return self

    def others(self) -> Trial:
        """Make the other calls that the names suggest; where none runs, calls in other sizes."""
        if any(self._ends(plan) for plan in self._plans) or self.runs is not None:
            return self
        self._fitting()
        return self

    def _fitting(self) -> None:
        """The same in other sizes, by what was said of shapes that do not fit; each of them once."""
        told = {str(plan) for plan, _ in self._misfits}
        tries = 0
        while self._misfits:
            plan, message = self._misfits.pop(0)
            failed, self._misfits = self._misfits, []
            for other in plan.refitted(message):
                if tries >= FITTED or str(other) in told:
                    continue
                told.add(str(other))
                tries += 1
                if self._ends(other):
                    return
            self._misfits += failed

    def _ends(self, plan: Plan) -> bool:
        """Call it so; whether there is an end of trying."""
        subject = subject_of(self._candidate, self.build, plan)
        self._tries += 1
        try:
            chooses = calls(subject)
        except (Exception, SystemExit) as error:
            if not self.reason or ("CUDA" in str(error) and "CUDA" not in self.reason):
                self.reason = said(error)
            self._misfits.append((plan, str(error)))
        else:
            if chooses:
                self.chooses = plan, subject
                return True
            first, self.runs = self.runs is None, self.runs or subject
            if first and plan.sizes.tokens < MANY and self._ends(plan.of_tokens(MANY)):
                return True  # it kept as many as there were of few
        return (self.runs is not None and self._tries > ENOUGH) or time.monotonic() > self._deadline


def subject_of(candidate: Callable[..., Any], build: Build, plan: Plan) -> Subject:
    """What was built, with the arguments of one call."""
    module = build.made if isinstance(build.made, nn.Module) else None
    args, kwargs = plan.make()
    file = getattr(sys.modules.get(candidate.__module__), "__file__", None) or ""
    recipe = Recipe(file, candidate.__name__, build.arguments, tuple(args), kwargs)
    told = f"{build} called with {plan}"
    switched, enabled = list(build.switched), list(build.enabled)
    return Subject(candidate.__name__, build.made, plan.make, module, told, switched, enabled=enabled, recipe=recipe)


def by_default(candidate: Callable[..., Any], plan: Plan, switched: Build) -> Subject | None:
    """The same call of what is built without the switches; None where that cannot be built or called."""
    for build in builds(candidate, (switched.size,)):
        if isinstance(build.made, nn.Module) and not build.switched and build.enabled == switched.enabled:
            plain = subject_of(candidate, build, plan)
            try:
                calls(plain)
            except (Exception, SystemExit):
                continue
            return plain
    return None


def calls(subject: Subject) -> bool:
    """Call it once, in train mode, quietly; whether it makes a hard choice. Raises what it raises."""
    with quiet():
        watched = watch(subject.run(0))
        if not any(t.is_floating_point() for t in tensors_in(watched.output)):
            raise ValueError("it returns no floating tensor")
        return any(not site.keeps_all for site in find_sites(watched))
