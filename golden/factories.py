"""What the doors build on: an implementation's parts made, moved and loaded, and tensors of the case's format."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdtps_ref.golden import by_shape
from sdtps_ref.properties.kit import values

Inputs = Mapping[str, Any]


class NotAvailable(Exception):
    """The implementation does not offer what the case needs."""


@dataclass
class Found:
    """Outputs of a case by name; where the implementation may choose, what they should be `instead`."""

    outputs: dict[str, Tensor] = field(default_factory=dict)
    instead: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def sizes_of(inputs: Inputs, tokens: Any) -> dict[str, Any]:
    """The sizes that a factory takes, from a case and its tokens."""
    sizes = {"dim": tokens.shape[2], "num_tokens": tokens.shape[1]}
    return sizes | {name: inputs[name] for name in ("keep", "slots", "tau")}


def loaded(implementation: Any, method: str, dtype: torch.dtype, *weights: Inputs, **arguments: Any) -> Any:
    """What a factory returns, with the case's weights. NotAvailable where they cannot be put in."""
    made = built(implementation, method, dtype, **arguments)
    given = [tensors(one, dtype) for one in weights]
    if callable(getattr(made, "load_weights", None)):
        made.load_weights(*given)
    elif len(given) > 1 or not by_shape.fill(made, given[0]):
        raise NotAvailable(f"what {method} returns has no load_weights, nor parameters of the vectors' shapes")
    return made


def built(implementation: Any, method: str, dtype: torch.dtype, *, training: bool = False, **arguments: Any) -> Any:
    """What a factory returns, moved to `dtype` and switched. NotAvailable when there is no such factory."""
    try:
        return values.prepare(method_of(implementation, method)(**arguments), dtype, "cpu", training)
    except NotImplementedError as error:
        raise NotAvailable(f"{method} is not implemented") from error


def method_of(implementation: Any, name: str) -> Callable[..., Any]:
    """A method by name. NotAvailable when the implementation has none."""
    if not has(implementation, name):
        raise NotAvailable(f"it has no {name}")
    return getattr(implementation, name)


def has(implementation: Any, name: str) -> bool:
    """Whether the implementation has that method."""
    return callable(getattr(implementation, name, None))


def tensor(array: Any, dtype: torch.dtype) -> Tensor:
    """An input in the case's format."""
    return torch.from_numpy(np.array(array, dtype=np.float64)).to(dtype)


def tensors(named: Mapping[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    """Inputs by name, nested or not."""
    return {
        name: tensors(value, dtype) if isinstance(value, Mapping) else tensor(value, dtype)
        for name, value in named.items()
    }
