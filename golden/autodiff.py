"""Numbers of any precision that remember what they were made from, so that gradients need no closed form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from mpmath import mp, mpf

Number = Any  # an mpf, or a Node that carries one


class Node:
    """A number on the tape: its value, and what it was made from with the slope to each."""

    __slots__ = ("grad", "order", "parents", "value")
    _made = 0

    def __init__(self, value: mpf, parents: tuple[tuple[Node, mpf], ...] = ()):
        Node._made += 1
        self.value, self.parents, self.order, self.grad = value, parents, Node._made, mpf(0)

    def __add__(self, other: Number) -> Node:
        one = mpf(1)
        parents = ((self, one), (other, one)) if isinstance(other, Node) else ((self, one),)
        return Node(self.value + plain(other), parents)

    def __mul__(self, other: Number) -> Node:
        parents = ((self, plain(other)),)
        return Node(self.value * plain(other), (*parents, (other, self.value)) if isinstance(other, Node) else parents)

    def __neg__(self) -> Node:
        return self * mpf(-1)

    def __sub__(self, other: Number) -> Node:
        return self + (-other)

    def __rsub__(self, other: Number) -> Node:
        return -self + other

    def __truediv__(self, other: Number) -> Node:
        return self * (_apply(other, 1 / plain(other), -1 / plain(other) ** 2))

    __radd__, __rmul__ = __add__, __mul__


def plain(x: Number) -> mpf:
    """The value without its tape."""
    return x.value if isinstance(x, Node) else x


def _apply(x: Number, value: mpf, slope: mpf) -> Number:
    return Node(value, ((x, slope),)) if isinstance(x, Node) else value


def exp(x: Number) -> Number:
    """e to the x."""
    value = mp.exp(plain(x))
    return _apply(x, value, value)


def log(x: Number) -> Number:
    """The natural logarithm."""
    return _apply(x, mp.log(plain(x)), 1 / plain(x))


def sqrt(x: Number) -> Number:
    """The square root."""
    value = mp.sqrt(plain(x))
    return _apply(x, value, 1 / (2 * value))


def gelu(x: Number) -> Number:
    """x Phi(x)."""
    z = plain(x)
    cdf = mp.erfc(-z / mp.sqrt(2)) / 2
    return _apply(x, z * cdf, cdf + z * mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi))


def gradients(output: Node) -> None:
    """Set `grad` of every node that `output` was made from."""
    found, waiting = {output.order: output}, [output]
    while waiting:
        for parent, _ in waiting.pop().parents:
            if parent.order not in found:
                found[parent.order] = parent
                waiting.append(parent)
    output.grad = mpf(1)
    for order in sorted(found, reverse=True):
        for parent, slope in found[order].parents:
            parent.grad += found[order].grad * slope


def numbers(array: Any) -> Any:
    """Nested lists of mpf from an array of floats, or from each of a mapping: every float64 is exact."""
    if isinstance(array, Mapping):
        return {name: numbers(part) for name, part in array.items()}
    return [numbers(part) for part in array] if np.ndim(array) else mpf(float(array))


def on_tape(values: Any) -> Any:
    """The same nesting, each number the start of a tape."""
    return [on_tape(part) for part in values] if isinstance(values, list) else Node(values)


def total(values: Iterable[Number]) -> Number:
    """The sum, from left to right."""
    result: Number = mpf(0)
    for value in values:
        result = value + result
    return result
