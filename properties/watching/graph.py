"""Which call's result goes into which: the data flow of one watched forward pass."""

from __future__ import annotations

from functools import cached_property

from sdtps_ref.properties.watching.record import Call

# Calls that hand their input on as it is: another name, view, dtype or place of the same numbers.
SAME_NUMBERS = {
    "detach", "clone", "contiguous", "__get__", "float", "double", "half", "bfloat16", "to", "type", "type_as",
    "view", "reshape", "squeeze", "unsqueeze", "flatten", "expand", "expand_as", "transpose", "permute",
    "requires_grad_",
}  # fmt: skip
# Calls that draw numbers, as noise is made of them.
DRAWS = ("rand", "rand_like", "uniform_", "exponential_", "randn", "randn_like", "normal_", "sample", "rsample")
RANDOM = (*DRAWS, "multinomial", "bernoulli", "gumbel_softmax")  # and calls that choose at random


class Graph:
    """The calls of one forward pass, with what each depends on."""

    def __init__(self, calls: list[Call]):
        self.calls = calls

    @cached_property
    def _before(self) -> list[int]:
        """For each call, a bit for every call that its result depends on, itself included."""
        bits: list[int] = []
        for call in self.calls:
            own = 1 << call.number
            for number in call.inputs:
                own |= bits[number]
            bits.append(own)
        return bits

    def depends(self, later: int, earlier: int) -> bool:
        """Whether the result of call `later` depends on that of `earlier`, or is it."""
        return bool(self._before[later] >> earlier & 1)

    def ancestors(self, number: int) -> list[int]:
        """The calls that a result depends on, the latest first, without itself."""
        return [n for n in range(number - 1, -1, -1) if self.depends(number, n)]

    def descendants(self, number: int) -> list[int]:
        """The calls that depend on a result, in order, without itself."""
        return [n for n in range(number + 1, len(self.calls)) if self.depends(n, number)]

    def origin(self, number: int) -> int:
        """The call that made these numbers, behind detached, cast and reshaped forms of them."""
        while self.calls[number].name in SAME_NUMBERS and len(self.calls[number].inputs) >= 1:
            number = self.calls[number].inputs[0]
        return number
