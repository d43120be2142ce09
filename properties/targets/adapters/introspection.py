"""What a small instance of a TokenSparse tells of its class: what it returns, what it trains, its temperature."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.jacobians import jacobian, temperature_behind
from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.kit.values import draw

# Sizes at which every returned tensor is known by its shape, and a temperature that is no other constant.
B, N, K, C, TAU = 2, 7, 3, 32, 0.7
ROLES = {
    "selected_tokens": (B, K, C),
    "extra_token": (B, 1, C),
    "decision": (B, N),
    "keep_indices": (B, K),
    "selected_decision": (B, K),
}
PUBLISHED_NAMES = {"decision": "score_mask", "extra_token": "extra_token", "selected_tokens": "select_tokens"}


def roles_of(returned: list[Tensor]) -> dict[str, int]:
    """Which of the returned tensors is what, by the contract's names."""
    roles: dict[str, int] = {}
    for position, part in enumerate(returned):
        for role, shape in ROLES.items():
            fits = role == "decision" or (part.dtype == torch.int64) == (role == "keep_indices")
            if role not in roles and tuple(part.shape) == shape and fits:
                roles[role] = position
                break
    return roles


def lacking(roles: dict[str, int], returned: list[Tensor]) -> list[str]:
    """What is to be said of what it returns."""
    missing = [published for role, published in PUBLISHED_NAMES.items() if role not in roles]
    said = [f"returns no {' and no '.join(missing)}"] if missing else []
    if "decision" in roles and not returned[roles["decision"]].is_floating_point():
        said.append(f"score_mask is {returned[roles['decision']].dtype}; the laws see it in the tokens' dtype")
    return said


def untrained(module: nn.Module, decision: Tensor) -> list[str]:
    """What D teaches nothing, in words: no law sees the score's own network where its score is replaced."""
    if not decision.requires_grad:
        return ["score_mask has no gradient"]
    named = {name: part for name, part in module.named_parameters() if part.requires_grad}
    if not named:
        return []
    cotangent = draw("normal", (B, N), 5).to(decision)
    reached = torch.autograd.grad(decision, list(named.values()), cotangent, allow_unused=True)
    without = [name for name, part in zip(named, reached, strict=True) if part is None]
    return [f"score_mask has no gradient to {', '.join(without)}: nothing trains it"] if without else []


def built_in_tau(decide: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The temperature behind D where none can be given; 1 where no gradient tells it.

    decide(tokens, score): D, in float64 and without noise.
    """
    score, step = draw("normal", (B, N), 0).requires_grad_(), draw("normal", (B, N), 1)
    moved = (score.detach() + step).requires_grad_()
    tokens = draw("normal", (B, N, C), 0)
    try:
        rows = [jacobian(decide(tokens, part), part) for part in (score, moved)]
        tau = float(temperature_behind(rows[0], rows[1], step)[0]) if rows[0].any() else 1.0
    except (Unsupported, RuntimeError):
        return 1.0
    return round(tau, 6) if 1e-3 < tau < 1e3 else 1.0
