"""The layers that the user's module holds in a list."""

from __future__ import annotations

from torch import nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import line_that_sets
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of


@law(needs="call", level="SHOULD", domain=CALL)
def parts_of_a_list_differ(probe: Probe) -> None:
    """The layers of a list are layers of their own.

    Why: `[Layer()] * n` holds one layer n times: what was meant to learn a scorer for every modality or stage learns
    one for all. Sharing on purpose is plainer with one attribute.
    Breaks when: a list of layers is multiplied, in place of a comprehension.
    Remedy: `nn.ModuleList(Layer() for _ in range(n))`.
    """
    module = passes_of(probe).subject.module
    if module is None:
        raise Unsupported("a function has no parameters")
    for part in module.modules():
        for name, held in part.named_children():
            layers = list(held._modules.values()) if isinstance(held, (nn.ModuleList, nn.ModuleDict)) else []
            trained = [layer for layer in layers if layer is not None and any(True for _ in layer.parameters())]
            if len({id(layer) for layer in trained}) < len(trained):
                raise Violation(
                    f"self.{name} holds one layer {len(trained)} times",
                    where=line_that_sets(type(part), name),
                    effect="what is meant to learn something of its own for each place learns one thing for all",
                    fix="nn.ModuleList(Layer() for _ in range(n)), or one attribute where it is meant",
                )


@law(needs="call", domain=CALL)
def every_part_of_a_list_is_used(probe: Probe) -> None:
    """Of the layers of a list, one does not do the work of all the others.

    Why: where every modality or stage is scored by the last one's layer, the others are never called, and never
    trained. The shapes are the same.
    Breaks when: a lambda or an inner function reads the variable of the loop that it was made in, which has its last
    value when it is called; or an index is not counted up.
    Remedy: `lambda x, name=name: self.scorers[name](x)`.
    """
    passes = passes_of(probe)
    module, calls = passes.subject.module, passes.reading().watched.calls
    if module is None:
        raise Unsupported("a function has no parameters")
    for part in module.modules():
        for name, held in part.named_children():
            layers = list(held._modules.values()) if isinstance(held, (nn.ModuleList, nn.ModuleDict)) else []
            firsts = [next(layer.parameters(), None) for layer in layers if layer is not None]
            if len(firsts) < 2 or None in firsts or len({id(first) for first in firsts}) < len(firsts):
                continue
            uses = [[call for call in calls if any(t is first for t in call.outside)] for first in firsts]
            used = [of_it for of_it in uses if of_it]
            if len(used) == 1 and len(used[0]) == len(firsts) and len({type(layer) for layer in layers}) == 1:
                raise Violation(
                    f"one of the {len(firsts)} layers in self.{name} is called {len(firsts)} times, and the others "
                    "never",
                    where=used[0][0].place,
                    effect="the others are never trained, and what is meant for each place is one for all",
                    fix="bind the loop's variable where the function is made: lambda x, name=name: ...",
                )
