"""What `example()` may hand over, and what is said of one that hands over something else."""

import pytest
import torch
from torch import nn

from sdtps_ref.properties.watching.example import ExampleError, subject_of_example


class Scale(nn.Module):
    """A module with a method besides forward."""

    def forward(self, tokens, factor=1.0):
        return tokens * factor

    def encode(self, tokens):
        return tokens + 1


def test_a_module_and_its_arguments() -> None:
    """By position, by name, and one tensor alone; the report says what was called with what."""
    module, tokens = Scale(), torch.ones(2, 3, 4)

    both = subject_of_example(lambda: (module, (tokens,), {"factor": 3.0}))
    alone = subject_of_example(lambda: (module, tokens))
    named = subject_of_example(lambda: (module, {"tokens": tokens}))

    assert both.module is alone.module is named.module is module
    assert torch.equal(both.run()(), 3 * tokens)
    assert torch.equal(alone.run()(), named.run()())
    assert both.told.endswith("Scale called with [2, 3, 4], factor 3.0")


def test_a_method_and_a_closure() -> None:
    """A module's own method is called in place of forward; a closure that does nothing else hands over its module."""
    module, tokens = Scale(), torch.ones(2, 3, 4)

    method = subject_of_example(lambda: (module.encode, (tokens,)))
    closure = subject_of_example(lambda: lambda: module(tokens))

    assert method.module is module and torch.equal(method.run()(), tokens + 1)
    assert closure.module is module and torch.equal(closure.run()(), tokens)


def test_a_closure_that_does_more_is_left_as_it_is() -> None:
    """What it makes of the module's answer is watched too; its tensors require grad, as arguments do."""
    module, tokens, target = Scale(), torch.ones(2, 3, 4), torch.zeros(2, 3, 4)

    subject = subject_of_example(lambda: lambda: (module(tokens) - target).square().mean())

    assert subject.module is module and subject.callable is not module
    assert subject.run()().requires_grad and target.requires_grad


def test_a_closure_that_writes_into_its_tensors_is_run() -> None:
    """They are left as they were given where it cannot run otherwise."""
    module, tokens = Scale(), torch.ones(2, 3, 4)

    subject = subject_of_example(lambda: lambda: module(tokens.mul_(1)).mean())

    assert subject.run()() == 1 and not tokens.requires_grad


def test_a_closure_that_sets_the_mode_keeps_it() -> None:
    """Its module is not asked for the other mode, which it would not be in."""
    module, tokens = Scale(), torch.ones(2, 3, 4)

    subject = subject_of_example(lambda: lambda: module.train()(tokens))

    assert subject.module is None and torch.equal(subject.run()(), tokens)


@pytest.mark.parametrize("given", [None, 3, (), (Scale(),), (1, (2,)), [Scale(), ()], "module"])
def test_anything_else_is_told_in_one_line(given: object) -> None:
    """What was returned, and what is accepted."""
    with pytest.raises(ExampleError) as raised:
        subject_of_example(lambda: given)

    line = str(raised.value)
    assert f"which returned {type(given).__name__}" in line
    assert "accepted: (module, args), (module, args, kwargs), or a function" in line
    assert "\n" not in line


def test_weights_are_the_same_in_every_run() -> None:
    """The generators are seeded before the example makes its module."""
    weights = [subject_of_example(lambda: (nn.Linear(3, 2), (torch.ones(1, 3),))).module.weight for _ in range(2)]

    assert torch.equal(*weights)
