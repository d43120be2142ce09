"""The data flow of one watched call, as the search for lines asks for it."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call

Node = Call | int | None


class Flow:
    """What depends on what in a reading's pass."""

    def __init__(self, reading: Reading):
        self.reading, self.graph = reading, reading.graph

    @property
    def calls(self) -> list[Call]:
        """All calls, in order."""
        return self.reading.watched.calls

    @cached_property
    def ends(self) -> list[int]:
        """The calls that made what was returned."""
        made = [self.number_of(tensor) for tensor in self.reading.watched.outputs]
        return [number for number in made if number is not None]

    def number_of(self, tensor: Tensor | None) -> int | None:
        """The call that returned this very tensor."""
        return None if tensor is None else self.reading.watched.watch.number_of(tensor)

    def depends(self, later: Node, earlier: Node) -> bool:
        """Whether the one is computed of the other; nothing is computed of what no call made."""
        one, other = _number(later), _number(earlier)
        return one is not None and other is not None and other <= one and self.graph.depends(one, other)

    def behind(self, call: Call, of: Node = None) -> list[Call]:
        """The calls that it is computed of, the latest first; of: those alone that are computed of this."""
        found = [self.calls[number] for number in self.graph.ancestors(call.number)]
        return found if of is None else [each for each in found if self.depends(each, of)]

    def after(self, call: Call) -> list[Call]:
        """The calls that are computed of it, in order."""
        return [self.calls[number] for number in self.graph.descendants(call.number)]

    def returned(self, call: Call) -> bool:
        """Whether something that is returned is computed of it."""
        return any(self.depends(end, call) for end in self.ends)

    def enters(self, call: Call, source: Node) -> bool:
        """Whether this very call brings the source together with what is not computed of it."""
        if call.name in SAME_NUMBERS:
            return False
        read = [self.number_of(tensor) for tensor in call.read]
        own = [number for number in read if self.depends(number, source)]
        return bool(own) and len(own) < len(read)


def _number(node: Node) -> int | None:
    return node.number if isinstance(node, Call) else node
