"""Published classes called as the contract has it. Scripts of failures carry these sources, which need torch alone."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sdtps_ref.properties.contract import Selection
from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.kit.places import tensors


class Substitute(TorchFunctionMode):
    """Lets one call return `score` (B N) instead of its own result.

    position: how many calls come before it; name: of the function. Raises Unsupported if it cannot.
    """

    def __init__(self, position: int, name: str, score: Tensor):
        super().__init__()
        self.position, self.name, self.score, self.seen, self.placed = position, name, score, 0, False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One call."""
        result = func(*args, **(kwargs or {}))
        self.seen += 1
        if self.seen - 1 != self.position:
            return result
        if getattr(func, "__name__", "") != self.name or not is_a_row(result, tuple(self.score.shape)):
            raise Unsupported("the module takes other steps here than where its score was found")
        self.placed = True
        score = self.score.clone().to(result.dtype).view(result.shape)  # a copy: what follows may write into it
        in_place = bool(args) and result is args[0] and not self.name.startswith("__i")
        if not in_place:
            return score
        return result.detach_().copy_(score)  # changed in place, and perhaps not bound to a name again


def substituted(call: Callable[[], Any], position: int, name: str, score: Tensor) -> Any:
    """What `call` returns with `score` in the place of the module's own."""
    mode = Substitute(position, name, score)
    with mode:
        result = call()
    if not mode.placed:
        raise Unsupported("the module takes other steps here than where its score was found")
    return result


def is_a_row(result: Any, shape: tuple[int, ...]) -> bool:
    """Whether the result is a number a token; shape: B N."""
    return (
        isinstance(result, Tensor)
        and result.is_floating_point()
        and tuple(result.shape) in (shape, (*shape, 1), (shape[0], 1, *shape[1:]))
    )


class Selector(nn.Module):
    """One TokenSparse as the contract's selector.

    attentions: how many it is called with. roles: where among the returned tensors each part is. places: the position
    and the name of the call that returns its score, by mode; None where the first attention, the others zero, is the
    score. further: other arguments of its call.
    """

    def __init__(
        self,
        module: nn.Module,
        attentions: int,
        roles: dict[str, int],
        places: dict[bool, tuple[int, str]] | None,
        further: dict[str, Any],
    ):
        super().__init__()
        self.module = module
        self.attentions, self.roles, self.places, self.further = attentions, roles, places, further

    def forward(self, tokens: Tensor, score: Tensor) -> Selection:
        """tokens: B N C; score: B N."""
        if self.places is None:
            nothing = torch.zeros_like(score.detach())
            return self.read(self.module(tokens, score, *[nothing] * (self.attentions - 1), **self.further))
        ramp = torch.linspace(0, 1, score.shape[1], device=score.device).to(score.dtype).expand(score.shape)
        given = [ramp.clone() for _ in range(self.attentions)]
        place = self.places[self.module.training]
        return self.read(substituted(lambda: self.module(tokens, *given, **self.further), *place, score))

    def read(self, returned: Any) -> Selection:
        """The returned tensors by the contract's names."""
        plain = isinstance(returned, (tuple, list)) and all(isinstance(part, Tensor) for part in returned)
        listed = returned if plain else [part for _, part in tensors(returned, "")]  # a compiler follows the first
        if max(self.roles.values()) >= len(listed):
            raise Unsupported(f"{len(listed)} tensors are returned here, elsewhere more")
        parts = {role: listed[position] for role, position in self.roles.items()}
        if not parts["decision"].is_floating_point():
            parts["decision"] = parts["decision"].to(parts["selected_tokens"].dtype)
        return Selection(**parts)


class Aggregator(nn.Module):
    """One TokenAggregation; D is its keep_policy, if it takes one, and `needs_policy` if it must be given."""

    def __init__(self, module: nn.Module, takes_policy: bool, needs_policy: bool):
        super().__init__()
        self.module, self.takes_policy, self.needs_policy = module, takes_policy, needs_policy

    def forward(self, tokens: Tensor, decision: Tensor | None = None) -> Tensor:
        """tokens: B K C; decision: B K."""
        if not self.takes_policy or (decision is None and not self.needs_policy):
            return self.module(tokens)
        return self.module(tokens, keep_policy=decision)


class Modalities(nn.Module):
    """One MultiModalSDTPS as the contract has it: by name in, by name out."""

    def __init__(self, module: nn.Module, names: tuple[str, ...]):
        super().__init__()
        self.module, self.names = module, names

    def forward(self, tokens: Mapping[str, Tensor], features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """{name: B N C}, {name: B C}. Returns {name: B M+1 C}."""
        given = [part[name] for part in (tokens, features) for name in self.names]
        return dict(zip(self.names, pooled(self.module(*given), given[0].shape[-1]), strict=True))


class Pipeline(nn.Module):
    """The first modality's own wiring, its score given from outside.

    selectors: the name of the class of those within. places: of its score, as a Selector has them. slots: M.
    """

    def __init__(self, module: nn.Module, selectors: str, places: dict[bool, tuple[int, str]], slots: int):
        super().__init__()
        self.module, self.slots = module, slots
        self.selectors, self.places = selectors, places

    def forward(self, tokens: Tensor, score: Tensor) -> Tensor:
        """tokens: B N C; score: B N. Returns B M C."""
        batch, num_tokens, dim = tokens.shape
        given = [part.to(tokens) for part in modal_inputs(batch, num_tokens, dim, 1)]
        given[0] = tokens
        return self.with_score(given, score)[0][:, : self.slots]

    def with_score(self, given: list[Tensor], score: Tensor) -> list[Tensor]:
        """What the modalities are pooled into, where the selector that is called first has this score."""
        place = self.places[self.module.training]
        called: list[nn.Module] = []

        def wrap(selector: nn.Module) -> Callable[..., Any]:
            own = selector.forward

            def forward(*arguments: Any, **named: Any) -> Any:
                called.append(selector)
                if len(called) > 1:
                    return own(*arguments, **named)
                return substituted(lambda: own(*arguments, **named), *place, score)

            return forward

        within = [part for part in self.module.modules() if type(part).__name__ == self.selectors]
        for selector in within:
            selector.forward = wrap(selector)
        try:
            return pooled(self.module(*given), given[0].shape[-1])
        finally:
            for selector in within:
                del selector.forward


def modal_inputs(batch: int, num_tokens: int, dim: int, seed: int) -> list[Tensor]:
    """Tokens, then global features, of three modalities; every sample of a batch has the same."""
    generator = torch.Generator().manual_seed(seed)
    tokens = [torch.randn(1, num_tokens, dim, generator=generator).expand(batch, -1, -1) for _ in range(3)]
    return tokens + [torch.randn(1, dim, generator=generator).expand(batch, -1) for _ in range(3)]


def pooled(returned: Any, dim: int, least: int = 3) -> list[Tensor]:
    """The pooled tokens of three modalities, B M+1 C each. Raises Unsupported where fewer than `least` are returned."""
    parts = [part for _, part in tensors(returned, "")]
    found = [part for part in parts if part.ndim == 3 and part.shape[-1] == dim and part.is_floating_point()]
    if len(found) < least:
        raise Unsupported("pooled tokens of three modalities are not returned here")
    return found[:3]
