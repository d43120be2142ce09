"""The noise of several modalities: each has its own, and none in eval."""

from itertools import combinations

import torch
from torch import Tensor

from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_equal
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.multimodal.inputs import NAMES, inputs_by_name, run_modalities, slots_of

PAIRS = Domain(fixed=(Case(batch=4, num_tokens=24, keep=4, dim=16, slots=3, dtype="float64"),))
QUIET = Domain(fixed=(Case(batch=2, num_tokens=8, keep=3, dim=16, slots=2, dtype="float64", training=False),))
PARALLEL = 1e-9  # of two vectors that are parallel, in float64; tokens that differ are off by 1e-2 and more
ENOUGH_PAIRS = 4


@law(needs="multimodal", depends="multimodal.decision_reaches_own_aggregator", domain=PAIRS)
def noise_is_not_shared(probe: Probe) -> None:
    """Noise is drawn anew for every modality: of three equal tokens, (p_2 - p_1) / (p_3 - p_1) differs between them,
    p being the soft mask.

    Why: with one draw for all, the modalities explore the same positions at the same time, and the
    gradient that should average over draws sees a third of them.
    Breaks when: noise is drawn once and handed to every branch, or each branch seeds its own generator
    with the same number.
    Remedy: let every selector draw its own noise from one running generator.
    """
    # Dropped tokens with the same value have the same score, the same slope from value to score, and the same part in
    # whatever is made of all tokens. So their gradients differ along one line, by their soft masks: by noise alone.
    tokens, features = inputs_by_name(probe, NAMES, copies=3)
    found: dict[str, Tensor] = {}
    for name, pooled in run_modalities(probe, NAMES, tokens, features).items():
        slots, cotangent = slots_of(probe, pooled)
        gradient = probe.gradient(slots, tokens[name], cotangent)
        found[name] = _noise_of_equals(gradient)
        if _are_alike(gradient):
            raise Unsupported("there is no noise in train mode")
    for one, other in combinations(NAMES, 2):
        both = found[one].isfinite() & found[other].isfinite()
        if both.sum() < ENOUGH_PAIRS:
            raise Unsupported("the noise cannot be read off: gradients of equal tokens do not differ along one line")
        first, second = found[one][both], found[other][both]
        apart = (first - second).abs() / (first.abs() + second.abs())
        if apart.amax() < 1e-6:
            raise Violation(
                f"(p_2 - p_1) / (p_3 - p_1) of three equal tokens = {first[0]:.6g} in {one!r} and {second[0]:.6g} in "
                f"{other!r} (and so in all {len(first)} threes that were read), but should differ: the modalities "
                "share one draw",
                check=apart.amax() > 1e-6,
            )


@law(needs="multimodal", level="SHOULD", depends="multimodal.shape_follows_inputs", domain=QUIET)
def noise_is_absent_in_eval(probe: Probe) -> None:
    """In eval mode d(slots[m])/d(tokens[m]) is the same whatever the seed, for every modality m.

    Why: the forward pass does not see the noise, but everything that differentiates in eval mode does.
    Breaks when: the modalities' selectors lie in a plain dict or list, which `eval()` does not reach, or noise is added
    without a look at `self.training`.
    Remedy: `nn.ModuleDict`, and `noise = gumbel(score) if self.training else 0`.
    """
    tokens, features = inputs_by_name(probe, NAMES)
    built = probe.build("multimodal", modalities=NAMES)
    if not values.modules_in(built):
        raise Unsupported("multimodal(...) is no module, so it has no eval mode")
    for name in NAMES:
        found = []
        for seed in (0, 1):
            slots, cotangent = slots_of(probe, probe.call(built, tokens, features, name="pooled", seed=seed)[name])
            found.append(probe.gradient(slots, tokens[name], cotangent))
        why = "as with another seed: noise is drawn in eval mode too"
        expect_equal(probe, f"gradient of {name!r} to its tokens", "bnc", found[1], found[0], because=why)


def _noise_of_equals(gradient: Tensor) -> Tensor:
    """How far the gradient (B N C) of token n + N/3 is from that of its equal n, as a multiple of how far that of
    n + 2 N/3 is: B N/3.

    NaN where the two do not lie on one line, because some of the tokens were kept.
    """
    first, second, third = gradient.chunk(3, dim=1)
    one, other = second - first, third - first
    ratio = (one * other).sum(-1) / (other * other).sum(-1)
    left = (one - ratio.unsqueeze(-1) * other).norm(dim=-1) / one.norm(dim=-1)
    return torch.where(left < PARALLEL, ratio, torch.nan)


def _are_alike(gradient: Tensor) -> bool:
    """Whether equal tokens, but for a few that were kept, have the same gradient."""
    first, second, third = gradient.chunk(3, dim=1)
    apart = (second - first).norm(dim=-1) + (third - first).norm(dim=-1)
    return bool((apart < PARALLEL * first.norm(dim=-1)).double().mean() > 0.5)
