"""How a call was come by, as Python: the example that repeats it, and the script that shows what its gradients are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.roots import import_lines
from sdtps_ref.properties.watching.settings import Settings

SHOWS = '''
module, arguments, named = example()
if isinstance(module, torch.nn.Module):
    module.train()


def tensors(found):
    """All tensors in what was given or returned."""
    if isinstance(found, torch.Tensor):
        return [found]
    parts = found.values() if isinstance(found, dict) else found if isinstance(found, (list, tuple)) else []
    return [tensor for part in parts for tensor in tensors(part)]


def outputs():
    """What one forward pass returns that carries a gradient."""
    torch.manual_seed(0)
    return [t for t in tensors(module(*arguments, **named)) if t.requires_grad]


asked = dict(module.named_parameters()) if isinstance(module, torch.nn.Module) else {}
trained = outputs()
if not trained:  # through nothing of its own, but perhaps through what it is given
    given = [t for t in tensors([arguments, named]) if t.is_floating_point() and t.is_leaf]
    asked = {f"input {i}": t.requires_grad_() for i, t in enumerate(given, 1)}
    trained = outputs()
sum((t * torch.randn_like(t)).sum() for t in trained).backward() if trained else print("no output has a gradient")
for name, tensor in asked.items():
    print(f"{name:50}", "no gradient" if tensor.grad is None else f"gradient {tensor.grad.norm():.3g}")
'''


GIVEN = '''

def example():
    """The module, its arguments and its keyword arguments."""
    module, arguments, *named = given()
    return module, tuple(arguments), named[0] if named else {}
'''


@dataclass(frozen=True)
class Recipe:
    """A call as it can be written down.

    file: where `name` is defined. arguments: what it was built with, None for a function. positional, named: the
    arguments of the call, as they were made; named is None where `name` is itself an example.
    """

    file: str
    name: str
    arguments: dict[str, Any] | None = None
    positional: tuple[Any, ...] = ()
    named: dict[str, Any] | None = None

    def example(self) -> str:
        """Source text with a function `example` that hands over the module, its arguments and its keyword arguments."""
        if self.named is None:
            return f"import sys\n\nimport torch\n\n{self._imported('given')}\n{GIVEN}"
        built = self.name if self.arguments is None else f"{self.name}({_listed(self.arguments)})"
        config = ["from types import SimpleNamespace", ""] if "SimpleNamespace" in built else []
        given = "".join(f"{written(value)}, " for value in self.positional).rstrip()
        named = ", ".join(f"{name!r}: {written(value)}" for name, value in self.named.items())
        lines = [
            "import sys",
            *config,
            "",
            "import torch",
            "",
            *self._imported().splitlines(),
            "",
            "",
            "def example():",
            f"    module = {built}",
            f"    return module, ({given}), {{{named}}}",
        ]
        return "\n".join(lines) + "\n"

    def _imported(self, renamed: str = "") -> str:
        return import_lines(Path(self.file), [self.name], renamed)

    def script(self, message: str) -> str:
        """A program that makes the call, a backward pass, and prints the gradient of every parameter."""
        return f"# {message}\n{self.example()}\n{SHOWS}"


def written(value: Any) -> str:
    """A value as Python makes it; a tensor by its shape."""
    if isinstance(value, Tensor):
        shape = ", ".join(map(str, value.shape))
        if value.dtype == torch.bool or (value.is_floating_point() and bool((value == 1).all())):
            return f"torch.ones({shape}{', dtype=torch.bool' if value.dtype == torch.bool else ''})"
        if value.is_floating_point():
            shares = value.dim() > 1 and torch.allclose(value.sum(-1), torch.ones(()), atol=1e-4)
            return f"torch.randn({shape}){'.softmax(-1)' if shares else ''}"
        return f"torch.tensor({value.tolist()})"
    if isinstance(value, Settings) and value.by_attribute:
        return f"SimpleNamespace({_listed(value)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {written(part)}" for key, part in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        inside = ", ".join(map(written, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' * (len(value) == 1)})"
    if isinstance(value, type):
        return f"torch.nn.{value.__name__}"
    return repr(value)


def _listed(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name}={written(value)}" for name, value in arguments.items())
