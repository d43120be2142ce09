"""What comes out for each modality, and what a modality has of the others."""

import torch
from torch import Tensor

from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_dtype, expect_finite, expect_shape
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.multimodal.inputs import NAMES, WEIGHT, inputs_by_name, run_modalities, slots_of

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
        slots, cotangent = slots_of(probe, pooled)
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
        slots, cotangent = slots_of(probe, pooled)
        for other in NAMES:
            if other != name:  # a modality's own mean token may stand for its own feature
                _expect_reached(probe, name, other, probe.gradient(slots, features[other], cotangent))


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
