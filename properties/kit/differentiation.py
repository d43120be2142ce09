"""What a law asks of an implementation's gradients. A part of `probe`."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit import jacobians, values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.kit.places import parts
from sdtps_ref.properties.kit.script import Script


class Differentiation(ABC):
    """Gradients, Jacobians, and what functions of this project make of them; each is a line of the script."""

    case: Case
    tokens: Tensor
    script: Script
    score: Tensor

    @abstractmethod
    def unrecorded(self) -> AbstractContextManager[None]:
        """Within the block, what is computed with torch is not written down."""

    @abstractmethod
    def _run(self, during: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any: ...

    def gradient(self, output: Tensor, source: Tensor, cotangent: Tensor) -> Tensor:
        """d(output . cotangent) / d source, zeros where no path leads there."""
        self._excuse_eval(output, source)
        self.script.define_gradient(output, source, cotangent)
        found = self._run("backward", values.gradient, output, source, cotangent)
        self.script.name(found, self.script.last)
        return found

    def gradients(self, output: Tensor, sources: list[Tensor]) -> list[Tensor | None]:
        """d output / d each of `sources` for an output of one number, None where no path leads there.

        One backward pass for all of them, which the script does not tell: `gradient` does, for the one that fails.
        """
        if not output.requires_grad:
            return [None] * len(sources)
        return list(self._run("backward", _gradients, output, sources))

    def jacobian(self, output: Tensor, source: Tensor) -> Tensor:
        """d output / d source, an entry of a sample's output a row: B, entries, then the source's own axes.

        One vector product gives a row for every sample at once, which is right wherever samples do not
        depend on each other (`decision.backward_is_softmax` looks, `symmetry.batch_independent` claims it).
        """
        self._excuse_eval(output, source)
        return self._derived("jac", jacobians.jacobian, output, source, helpers=(values.gradient,))

    def noise(self, decision: Tensor) -> Tensor:
        """The noise behind `decision`, of which this case's own score is the source: B N, see `noise_behind`."""
        self._excuse_eval(decision, self.score)
        helpers = (values.gradient, jacobians.first_rows)
        return self._derived("noise", jacobians.noise_behind, decision, self.score, self.case.tau, helpers=helpers)

    def define(self, name: str, function: Callable[..., Any], *arguments: Any, helpers: tuple[Any, ...] = ()) -> Any:
        """What `function` of this project makes of the arguments. The script carries its source, and its helpers'.

        The function takes and returns tensors, and needs nothing but torch and its helpers.
        """
        self.script.define_result(name, function, *arguments, helpers=helpers)
        last = self.script.last
        with self.unrecorded():
            return self._name(function(*arguments), last)

    def products(self, output: Tensor, source: Tensor, cotangents: Tensor) -> Tensor:
        """A vector-Jacobian product for each of the `cotangents` (count, then the output's axes): B, count, ..."""
        self._excuse_eval(output, source)
        return self._derived("reached", jacobians.products, output, source, cotangents, helpers=(values.gradient,))

    def _excuse_eval(self, output: Tensor, source: Tensor) -> None:
        """A gradient to a score (B N) is owed in train mode. In eval mode one that is there must be right, no more.

        Raises Unsupported in eval mode where no path leads from the output to the score. Tokens that were picked, as
        they are, depend on no score in any mode; and a source of zeros and ones is a D that was handed in.
        """
        if self.case.training or source.dim() != 2 or not source.requires_grad:
            return
        with self.unrecorded():
            given = bool(((source == 0) | (source == 1)).all())
            # torch 2.4 looks for no bfloat16; every format is exact in float64.
            picked = bool(torch.isin(output.detach().double(), self.tokens.detach().double()).all())
        if given or picked:
            return
        if output.requires_grad:
            ones = torch.ones_like(output)
            reached = self._run(
                "backward", torch.autograd.grad, output, source, ones, retain_graph=True, allow_unused=True
            )
            if reached[0] is not None:
                return
        raise Unsupported("D is hard in eval mode, where no gradient is owed")

    def _derived(self, name: str, function: Callable[..., Any], *arguments: Any, helpers: tuple[Any, ...]) -> Any:
        """What `function` of this project makes of the implementation's output; in the script even if it raises."""
        self.script.define_result(name, function, *arguments, helpers=helpers)
        last = self.script.last
        return self._name(self._run("backward", function, *arguments), last)

    def _name(self, value: Any, expression: str) -> Any:
        """Tell the script what `value` is called, and every tensor and module in it."""
        self.script.name(value, expression)
        for place, part in parts(value, expression):
            self.script.name(part, place)
        return value


def _gradients(output: Tensor, sources: list[Tensor]) -> tuple[Tensor | None, ...]:
    return torch.autograd.grad(output, sources, retain_graph=True, allow_unused=True)
