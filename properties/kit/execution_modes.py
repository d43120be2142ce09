"""Other ways to run an implementation than to call it: compiled, exported, under a torch-wide setting.

Torch only and self-contained, like `values`: a failure's script carries these functions' own source text.
"""

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.values import modules_in


class Region(torch.nn.Module):
    """What is compiled or exported as one: a selector, aggregator or pipeline, its result as a tuple of tensors.

    normalised: min-max normalise the second argument first, as a model that computes its score does.
    """

    def __init__(self, built: Any, normalised: bool = False):
        super().__init__()
        self.built, self.normalised = built, normalised

    def forward(self, tokens: Tensor, second: Tensor) -> tuple[Tensor | None, ...]:
        """tokens: B N C; second: the score, or D for an aggregator. (pooled,) or (D, V_s, D at the kept)."""
        if self.normalised:
            low, high = second.amin(-1, keepdim=True), second.amax(-1, keepdim=True)
            second = (second - low) / (high - low + 1e-3)
        result = self.built(tokens, second)
        if isinstance(result, Tensor):
            return (result,)
        return result.decision, result.selected_tokens, getattr(result, "selected_decision", None)


def train_step(region: Any, tokens: Tensor, second: Tensor, seed: int, calls: int = 1) -> dict[str, Tensor]:
    """Seed torch, run forward and backward `calls` times, and return the last one's outputs and gradients by name.

    "next draws" are what torch's generator gives afterwards: equal after equal use of it.
    """
    torch.manual_seed(seed)
    for _ in range(calls):
        tokens, second = tokens.detach().requires_grad_(), second.detach().requires_grad_()
        outputs = region(tokens, second)
        direction = torch.Generator().manual_seed(7)
        cotangent = torch.randn(outputs[0].shape, generator=direction, dtype=torch.float64).to(outputs[0])
        gradients = [torch.zeros_like(second), torch.zeros_like(tokens)]
        if outputs[0].requires_grad:
            found = torch.autograd.grad(outputs[0], (second, tokens), cotangent, allow_unused=True)
            gradients = [zeros if part is None else part for part, zeros in zip(found, gradients, strict=True)]
    names = ("pooled tokens",) if len(outputs) == 1 else ("decision", "selected_tokens", "selected_decision")
    seen = {name: part.detach() for name, part in zip(names, outputs, strict=True) if part is not None}
    seen |= {"gradient to score": gradients[0], "gradient to tokens": gradients[1]}
    return seen | {"next draws": torch.rand(4, device=tokens.device)}


def compiled(region: Region) -> Any:
    """`region` through inductor, with the random numbers that eager draws."""
    torch._dynamo.reset()  # else earlier graphs of the same code count towards a limit, and this one runs eagerly
    return torch.compile(region, options={"fallback_random": True})


def compiled_whole(region: Region) -> Any:
    """`region` as one graph, differentiated but not turned into kernels: what stands in the way shows already here."""
    torch._dynamo.reset()
    return torch.compile(region, fullgraph=True, backend="aot_eager")


def exported(region: Region, tokens: Tensor, second: Tensor) -> Any:
    """`region` as torch.export has it, as something to call."""
    if not isinstance(region.built, torch.nn.Module):  # its weights must be known to be weights
        region.held = torch.nn.ModuleList(modules_in(region.built))
    return torch.export.export(region, (tokens.detach(), second.detach()), strict=False).module()


def under_autocast(region: Region) -> Any:
    """`region` with its forward pass under torch.autocast in bfloat16."""

    def run(tokens: Tensor, second: Tensor) -> Any:
        with torch.autocast(tokens.device.type, torch.bfloat16):
            return region(tokens, second)

    return run


def without_gradients(built: Any, tokens: Tensor, second: Tensor) -> Any:
    """What `built` returns when it is called as for inference."""
    with torch.no_grad():
        return built(tokens, second)


def for_inference(built: Any, tokens: Tensor, second: Tensor) -> Any:
    """What `built` returns in inference mode."""
    with torch.inference_mode():
        return built(tokens, second)


def deterministically(region: Region, tokens: Tensor, second: Tensor, seed: int) -> dict[str, Tensor]:
    """`train_step` under torch.use_deterministic_algorithms, which is put back as it was."""
    was = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        return train_step(region, tokens, second, seed)
    finally:
        torch.use_deterministic_algorithms(was, warn_only=warned)


def memory(built: Any) -> dict[str, Tensor]:
    """A copy of all that the modules behind `built` would save, and of their parameters."""
    held: dict[str, Any] = {}
    for module in modules_in(built):
        named = (*module.state_dict().items(), *module.named_parameters())
        held |= {f"{type(module).__name__}.{name}": value for name, value in named}
    lazy = torch.nn.parameter.is_lazy
    return {
        name: value.detach().clone() for name, value in held.items() if isinstance(value, Tensor) and not lazy(value)
    }


def count_trainable(module: torch.nn.Module) -> Tensor:
    """How many parameters an optimiser is told of."""
    return torch.tensor(sum(parameter.requires_grad for parameter in module.parameters()))


def snapshot(*tensors: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What each holds and how often it was written to."""
    return [(tensor.detach().clone(), torch.tensor(tensor._version)) for tensor in tensors]


def left_changed(built: Any, tokens: Tensor, second: Tensor | None) -> list[str]:
    """What calls leave changed: torch's settings, torch's functions, and threads that every call leaves one more of."""
    import threading

    def settings() -> dict[str, Any]:
        return {
            "the default dtype": torch.get_default_dtype(),
            "the default device": str(torch.empty(0).device),  # torch 2.4 cannot always be asked for it
            "grad mode": torch.is_grad_enabled(),
            "the number of threads": torch.get_num_threads(),
            "anomaly detection": torch.is_anomaly_enabled(),
            "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        }

    def functions() -> dict[str, Any]:
        tensor = {name: value for base in reversed(torch.Tensor.__mro__) for name, value in vars(base).items()}
        places = {"torch": vars(torch), "torch.nn.functional": vars(torch.nn.functional), "torch.Tensor": tensor}
        return {f"{place}.{name}": value for place, inside in places.items() for name, value in inside.items()}

    before, own, threads = settings(), functions(), []
    for _ in range(4):
        built(tokens, second)
        threads.append(threading.active_count())  # the first call may start what serves for all
    found = [f"{name} changed from {before[name]} to {now}" for name, now in settings().items() if now != before[name]]
    found += [
        f"{name} replaced" for name, now in functions().items() if callable(now) and own.get(name, now) is not now
    ]
    if threads == sorted(set(threads)):
        found.append(f"threads running, {threads[-1] - threads[0]} more after 3 more calls")
    return found
