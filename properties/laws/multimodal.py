"""Several modalities: each selects among its own tokens, guided by the others' global features."""

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor

from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_dtype, expect_equal, expect_finite, expect_keys, expect_shape
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe

NAMES = ("rgb", "nir", "tir")
SHAPES = Domain(
    fixed=(
        Case(batch=2, num_tokens=6, keep=3, dim=8, slots=2),
        Case(batch=1, num_tokens=9, keep=1, dim=8, slots=4, dtype="float64", training=False),
        Case(batch=3, num_tokens=5, keep=5, dim=16, slots=3, dtype="bfloat16"),
    )
)
GRADIENTS = Domain(
    fixed=(
        Case(batch=2, num_tokens=8, keep=3, dim=16, slots=2, dtype="float64"),
        Case(batch=3, num_tokens=12, keep=5, dim=16, slots=4, dtype="float64", training=False, seed=1),
    )
)
# In 48 dimensions three times N tokens are linearly independent: a token says which of them it was made of. In eval
# mode, for a dropout on the tokens would make others of them.
EXTRAS = Domain(
    fixed=(
        Case(batch=2, num_tokens=6, keep=2, dim=48, slots=1, dtype="float64", training=False),
        Case(batch=3, num_tokens=12, keep=7, dim=48, slots=4, dtype="float64", training=False, seed=1),
    )
)
PAIRS = Domain(fixed=(Case(batch=4, num_tokens=24, keep=4, dim=16, slots=3, dtype="float64"),))
QUIET = Domain(fixed=(Case(batch=2, num_tokens=8, keep=3, dim=16, slots=2, dtype="float64", training=False),))
PARALLEL = 1e-9  # of two vectors that are parallel, in float64; tokens that differ are off by 1e-2 and more
ENOUGH_PAIRS = 4
WEIGHT = 1e-3  # none or all; what float32 leaves is near 1e-6, and a mean of twelve tokens has 1 / 12 of each


@law(needs="multimodal", depends="shape.follows_inputs", domain=SHAPES)
def shape_follows_inputs(probe: Probe) -> None:
    """{name: B (M+1) C} for exactly the modalities that went in, two, three or five, all in the tokens' dtype.

    Why: the next layer concatenates the modalities; one that is missing, or shorter by the extra token,
    shows up far from its cause.
    Breaks when: the number of modalities or their names are written into the code, or the extra token is
    left out where nothing is dropped.
    Remedy: loop over the names that were given; append the extra token always, a zero one where K = N.
    """
    case = probe.case
    owed = (case.batch, case.slots + 1, case.dim)
    for names in (NAMES, NAMES[:2], (*NAMES, "depth", "event")):
        tokens, features = inputs_by_name(probe, names)
        for name, pooled in run_modalities(probe, names, tokens, features).items():
            expect_shape(probe, f"multimodal(...)[{name!r}]", pooled, owed)
            expect_dtype(probe, f"multimodal(...)[{name!r}]", pooled, case.torch_dtype)
            expect_finite(probe, f"multimodal(...)[{name!r}]", "bmc", pooled)


@law(needs="multimodal", depends=("multimodal.shape_follows_inputs", "gradient.reaches_score"), domain=GRADIENTS)
def decision_reaches_own_aggregator(probe: Probe) -> None:
    """d slots[m]/d(global features) != 0: every modality's own D is passed into its own aggregator.

    Why: the extra token carries a gradient to the score by itself, so that a missing D is not noticed:
    the score of the dropped tokens moves, that of the kept ones does not. Looked at here are the M slots
    only, which nothing but D connects with the score.
    Breaks when: one of the aggregators is called without D or with a detached one, or a loop passes every
    aggregator the D of one modality.
    Remedy: `aggregators[name](selection[name].selected_tokens, selection[name].selected_decision)`.
    """
    tokens, features = inputs_by_name(probe, NAMES)
    for name, pooled in run_modalities(probe, NAMES, tokens, features).items():
        slots, cotangent = _slots(probe, pooled)
        slope = probe.gradient(slots, features[name], cotangent)
        if not slope.any():  # where its mean token stands for its own feature, it is guided by the others' alone
            others = (probe.gradient(slots, features[other], cotangent) for other in NAMES if other != name)
            slope = next((each for each in others if each.any()), slope)
        _expect_reached(probe, name, name, slope)
        # A dropped token moves its own slots through its own D alone.
        own = probe.gradient(slots, tokens[name], cotangent)
        if (own != 0).any(-1).all():
            continue
        for other in NAMES:
            foreign = probe.gradient(slots, tokens[other], cotangent)
            if other != name and foreign.any():
                b, n = (~(own != 0).any(-1)).nonzero()[0].tolist()
                raise Violation(
                    f"gradient of the slots of {name!r} to its own dropped token[b={b}, n={n}] = 0, but should not be; "
                    f"it reaches the tokens of {other!r} instead, so {name!r} is pooled with the D of {other!r}",
                    check=own[b, n].any() | ~foreign.any(),
                )


@law(
    needs="multimodal",
    depends=("multimodal.shape_follows_inputs", "selection.extra_token_pools_dropped"),
    domain=EXTRAS,
)
def extra_token_is_own(probe: Probe) -> None:
    """Slot M + 1 of a modality is a weighted mean of N - K tokens at most, all of them its own.

    Why: the shape is right whatever is appended, and no slot depends on it; what one modality drops would be lost,
    and another's, or what was kept, counted twice.
    Breaks when: the variable that a loop left behind is appended to every modality, one extra token is shared by
    all, zeros stand in for it, or a mean of all tokens or of the kept ones does.
    Remedy: `torch.cat([slots[name], selection[name].extra_token], dim=1)`, both of the same name.
    """
    tokens, features = inputs_by_name(probe, NAMES)
    columns = torch.cat([tokens[name] for name in NAMES], dim=1).detach().mT  # B C 3N
    for name, pooled in run_modalities(probe, NAMES, tokens, features).items():
        extra = pooled[:, -1:].detach().mT  # B C 1
        weights = torch.linalg.lstsq(columns, extra).solution  # B 3N 1
        if (columns @ weights - extra).abs().amax() > WEIGHT * columns.abs().amax():
            raise Unsupported("the extra token is not made of the tokens as they came in")
        totals = weights.reshape(len(extra), len(NAMES), -1).sum(-1)  # B 3
        owed = torch.tensor([float(other == name) for other in NAMES]).to(totals)
        wrong = (totals - owed).abs() > WEIGHT
        if wrong.any():
            b, i = wrong.nonzero()[0].tolist()
            rounded = totals[b].round(decimals=3) + 0.0  # no -0
            made = ", ".join(f"{total:g} of {other!r}" for total, other in zip(rounded, NAMES, strict=True))
            raise Violation(
                f"the extra token (slot M + 1) of {name!r} in sample b={b} is pooled from tokens whose weights add up "
                f"to {made}, but should be from its own alone, with weights that add up to 1",
                check=~wrong[b, i],
            )
        sources, dropped = (weights.abs() > WEIGHT).sum((1, 2)), probe.case.num_tokens - probe.case.keep
        if (sources > dropped).any():
            b = int((sources > dropped).nonzero()[0])
            raise Violation(
                f"the extra token (slot M + 1) of {name!r} in sample b={b} is pooled from {sources[b]} tokens, but "
                f"should be from those that are dropped, and N - K = {dropped} are",
                check=sources[b] <= dropped,
            )


@law(needs="multimodal", depends="multimodal.decision_reaches_own_aggregator", domain=GRADIENTS)
def guidance_reaches_others(probe: Probe) -> None:
    """d slots[m]/d(global feature o) != 0 for every modality m and every other one o.

    Why: what one modality sees tells the others where to look; that is the point of selecting together.
    A global feature without a gradient is never taught to guide.
    Breaks when: features are detached, averaged without a modality, or a modality is scored against its
    own feature only (an index that never moves, a dict that is overwritten in the loop).
    Remedy: score each modality against its own global feature and each of the others', none detached.
    """
    tokens, features = inputs_by_name(probe, NAMES)
    for name, pooled in run_modalities(probe, NAMES, tokens, features).items():
        slots, cotangent = _slots(probe, pooled)
        for other in NAMES:
            if other != name:  # a modality's own mean token may stand for its own feature
                _expect_reached(probe, name, other, probe.gradient(slots, features[other], cotangent))


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
        slots, cotangent = _slots(probe, pooled)
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
            slots, cotangent = _slots(probe, probe.call(built, tokens, features, name="pooled", seed=seed)[name])
            found.append(probe.gradient(slots, tokens[name], cotangent))
        why = "as with another seed: noise is drawn in eval mode too"
        expect_equal(probe, f"gradient of {name!r} to its tokens", "bnc", found[1], found[0], because=why)


def inputs_by_name(
    probe: Probe, names: tuple[str, ...], *, copies: int = 1
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tokens and global features by name. copies: of each token, one part of the N tokens after another."""
    case = probe.case
    tokens, features = {}, {}
    for i, name in enumerate(names):
        seed = case.seed + 10 * i + 1
        recipe = f"draw('normal', {(case.batch, case.num_tokens, case.dim)}, {seed})"
        drawn = values.draw("normal", (case.batch, case.num_tokens, case.dim), seed)
        if copies > 1:
            part = case.num_tokens // copies
            drawn = torch.cat([drawn[:, :part]] * copies, dim=1)
            recipe = f"torch.cat([{recipe}[:, :{part}]] * {copies}, dim=1)"
        tokens[name] = drawn.to(case.device, case.torch_dtype).requires_grad_()
        to = f".to({case.device!r}, {case.torch_dtype})"
        probe.script.define_value(f"{name}_tokens", tokens[name], recipe + to)
        feature = values.draw("normal", (case.batch, case.dim), seed + 1)
        features[name] = probe.given(f"{name}_feature", feature.to(tokens[name]), requires_grad=True)
    return tokens, features


def run_modalities(
    probe: Probe, names: tuple[str, ...], tokens: dict[str, Tensor], features: dict[str, Tensor]
) -> dict[str, Tensor]:
    """One call, its results by name."""
    built = probe.build("multimodal", modalities=names)
    result = probe.call(built, tokens, features, name="pooled")
    returned = sorted(map(str, result)) if isinstance(result, Mapping) else type(result).__name__
    due = f"{sorted(names)}, each with a Tensor B (M+1) C"
    expect_keys(probe, f"multimodal(...) returned {returned}, but should return {due}", result, names)
    for name in names:
        if not isinstance(result[name], Tensor):
            raise Violation(f"multimodal(...)[{name!r}] is {type(result[name]).__name__}, but should be a Tensor")
    return {name: result[name] for name in names}


def _slots(probe: Probe, pooled: Tensor) -> tuple[Tensor, Tensor]:
    """The M slots without the extra token, and a cotangent for them."""
    slots = pooled[:, : probe.case.slots]
    return slots, probe.random(slots)


def _expect_reached(probe: Probe, name: str, of: str, gradient: Tensor) -> None:
    what = f"gradient of the slots of {name!r} to the global feature of {of!r}"
    expect_finite(probe, what, "bc", gradient)
    unreached = ~gradient.any(-1)
    if unreached.any():
        b = int(unreached.nonzero()[0])
        why = "its D does not reach its aggregator" if name == of else f"{of!r} does not guide {name!r}"
        raise Violation(
            f"{what} is zero in sample b={b}, but should not be: {why}",
            check=gradient[b].any(),
        )


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
