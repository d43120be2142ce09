"""What may change about the inputs without changing the outcome."""

import torch
from torch import Tensor

from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import can_tell, expect_close
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.multimodal.inputs import NAMES, inputs_by_name, run_modalities
from sdtps_ref.properties.signals.aggregation_analysis import rounding

DISTINCT = Domain(
    dtypes=("float64", "float32"), scores=("distinct",), tokens=("normal",), taus=(1.0, 0.5, 2.0), max_tokens=130
)
# One layout: `rand_like` follows strides, and a rightful seed gives other noise on a transposed score.
BATCHES = Domain(**{**vars(DISTINCT), "layouts": ("contiguous",), "min_batch": 2, "max_tokens": 65, "draw_tokens": 12})
# In train mode a dropout inside the MLP, which is nobody's fault, falls on positions.
ANY_ORDER = Domain(**{**vars(DISTINCT), "modes": (False,), "min_tokens": 2})
EXACT = Domain(**{**vars(DISTINCT), "dtypes": ("float64",), "min_tokens": 2, "draw_tokens": 12})
SAME_GRADIENT = {"float64": 1e-9, "float32": 1e-4}  # relative; a softmax over other entries is off by 1e-2
SHIFTS = (4.0, -16.0, 0.5, 64.0)  # exact in every dtype, as are scores in eighths
INCREASING = {
    "score ** 3": lambda score: score**3,
    "exp(score)": torch.exp,
    "10 * score + 3": lambda score: 10 * score + 3,
}


@law(needs="selector|pipeline|multimodal", depends="gradient.is_finite", domain=BATCHES)
def batch_independent(probe: Probe) -> None:
    """output[b] and its gradient depend on sample b alone: the other samples of the batch may be anything, or absent.

    Why: with samples that see each other an image is scored by its neighbours in the batch, evaluation
    depends on the batch size, and in distributed training every process computes something else.
    Breaks when: a softmax, a mean, a minimum or a standard deviation runs over the whole batch instead of
    axis 1, top-K is taken over the flattened scores, or BatchNorm stands where LayerNorm belongs.
    Remedy: name the axis of every reduction (`dim=-1` for scores, `dim=1` for tokens) and keep dim 0 out of it.
    """
    b = probe.case.batch - 1  # the last one is judged, all others are its neighbours
    tokens = probe.tracked_tokens()
    before = _outputs(probe, tokens, probe.score)
    cotangents = {name: _only(probe, b, probe.random(output)) for name, output in before.items()}
    _expect_no_gradient_to_neighbours(probe, b, before, cotangents, {"score": probe.score, "tokens": tokens})

    others = torch.arange(probe.case.batch, device=tokens.device) != b
    other_score, other_tokens = (3 * values.draw("normal", part.shape, 1).to(part) for part in (probe.score, tokens))
    mixed_score = torch.where(others[:, None], other_score, probe.score)
    mixed_tokens = torch.where(others[:, None, None], other_tokens, tokens)
    strange_score = probe.given("score_beside_others", mixed_score, requires_grad=True)
    after = _outputs(probe, probe.given("tokens_beside_others", mixed_tokens), strange_score)
    because = f"all samples but b={b} were changed, and this one changed with them"
    for name in before:
        _expect_same(probe, name, after[name][b], before[name][b], because, of=f" of sample b={b}")
    again = _outputs(probe, tokens, probe.score)
    for name in _with_a_gradient(probe, before):
        owed = probe.gradient(before[name], probe.score, cotangents[name])[b]
        if torch.equal(owed, probe.gradient(again[name], probe.score, cotangents[name])[b]):  # else: noise of its own
            seen = probe.gradient(after[name], strange_score, cotangents[name])[b]
            _expect_same_gradient(probe, f"{name} at b={b}", seen, owed, because)

    if not probe.case.training:
        _expect_same_alone(probe, b, before, cotangents)
        if "multimodal" in probe.methods:
            _expect_modalities_same(probe, b, because)


@law(needs="selector|pipeline", depends="shape.follows_inputs", domain=ANY_ORDER)
def token_permutation_equivariant(probe: Probe) -> None:
    """D(tokens[order], score[order]) = D(tokens, score)[order], and the pooled tokens stay what they were.

    Why: a token is kept for its score, wherever it stands; a preference for a corner of the picture would
    pass for a learned one.
    Breaks when: a bonus by position enters the score or the logits, a window or a stride limits the
    choice, tokens are gathered by a mask and D by rank, or indices are sorted for one of the two only.
    Remedy: choose by `topk(score)` alone and pool each token by its own logits; where positions should
    count, add them to the tokens before.
    """
    order = values.draw("normal", (1, probe.case.num_tokens), probe.case.seed)[0].argsort().tolist()
    if order == sorted(order):
        order.reverse()
    tokens, score = probe.tokens[:, order], probe.score[:, order]
    because = "tokens and scores were put into another order together, which must change nothing else"
    if "selector" in probe.methods:
        owed = probe.select().decision[:, order]
        seen = probe.select(tokens, score).decision
        expect_close(probe, "decision[bn] of reordered scores", "bn", seen, owed, tolerance=0.0, because=because)
    if "pipeline" in probe.methods:
        before = probe.pool()
        tolerance = rounding(probe, probe.tokens)
        can_tell(before.detach(), probe.tokens, tolerance)
        after = probe.pool(tokens, score)
        expect_close(
            probe, "pooled tokens[bmc] of reordered inputs", "bmc", after, before, tolerance=tolerance, because=because
        )


@law(needs="selector|pipeline", depends="shape.follows_inputs", domain=EXACT)
def score_shift_invariant(probe: Probe) -> None:
    """D(score + constant) = D(score), forward and, in eval mode, backward: only differences of scores count.

    Why: a bias at the end of the score network moves all scores of a row alike. If that changed the choice
    or its gradient, the network would be trained to move its bias instead of telling tokens apart.
    Breaks when: scores are compared with a threshold (`score > 0`), divided by their maximum or sum, multiplied
    into the tokens, or exponentiated without subtracting the largest.
    Remedy: `topk(score)` and `softmax((score + noise) / tau, dim=-1)`; both see differences only.
    """
    ranks = probe.score.detach().argsort(-1).argsort(-1)
    score = probe.given("ranked_score", ranks.to(probe.score) / 8, requires_grad=True)
    shift = torch.tensor(SHIFTS, dtype=score.dtype, device=score.device)
    shift = shift.repeat(probe.case.batch)[: probe.case.batch].unsqueeze(-1)
    shifted = probe.given("shifted_score", score + shift, requires_grad=True)
    added = ", ".join(f"{s:g} in b={b}" for b, s in enumerate(shift[:4, 0].tolist()))
    because = f"as before a constant was added to all scores of a sample ({added})"
    before, after = _outputs(probe, probe.tokens, score), _outputs(probe, probe.tokens, shifted)
    for name in before:
        _expect_same(probe, name, after[name], before[name], because, in_any_order=True)
    if "decision" in before and not probe.case.training:
        cotangent = probe.random(before["decision"])
        owed = probe.gradient(before["decision"], score, cotangent)
        if _is_noiseless(probe, probe.tokens, score, cotangent, owed):
            seen = probe.gradient(after["decision"], shifted, cotangent)
            _expect_same_gradient(probe, "decision", seen, owed, because)


@law(needs="selector|pipeline", depends="shape.follows_inputs", domain=EXACT)
def score_order_is_all_that_matters(probe: Probe) -> None:
    """Forward, f(score) gives what score gives, for every increasing f: D, the kept tokens and the pooled tokens.

    Why: the score's size has its say in the gradient. In the forward pass a kept token is kept, and how
    much it weighs is the aggregation's to decide, from the tokens.
    Breaks when: the score or the soft mask weighs the tokens or enters the aggregation logits, a threshold
    takes part in the choice, or scores are squashed first until neighbours become equal.
    Remedy: use the score in two places only, `topk` and the soft mask inside D.
    """
    before = _outputs(probe, probe.tokens, probe.score)
    turn = (probe.case.seed + probe.case.num_tokens) % len(INCREASING)  # one a case; the corners have all
    formula, increasing = list(INCREASING.items())[turn]
    after = _outputs(probe, probe.tokens, probe.given("rescaled_score", increasing(probe.score.detach())))
    because = f"as before every score was replaced by {formula}, which keeps their order"
    for name in before:
        _expect_same(probe, name, after[name], before[name], because, in_any_order=True)


def _outputs(probe: Probe, tokens: Tensor, score: Tensor, *, seed: int = 0) -> dict[str, Tensor]:
    """Whatever the implementation makes of these inputs."""
    found: dict[str, Tensor] = {}
    if "selector" in probe.methods:
        selection = probe.select(tokens, score, seed=seed)
        found |= {"decision": selection.decision, "selected_tokens": selection.selected_tokens}
    if "pipeline" in probe.methods:
        found["pooled tokens"] = probe.pool(tokens, score, seed=seed)
    return found


def _only(probe: Probe, b: int, cotangent: Tensor) -> Tensor:
    """The cotangent, zero for every sample but b."""
    one_sample = torch.zeros_like(cotangent)
    one_sample[b] = cotangent[b]
    return probe.given("cotangent_of_one_sample", one_sample)


def _with_a_gradient(probe: Probe, outputs: dict[str, Tensor]) -> list[str]:
    """The outputs whose gradient to the score is more than rounding: with one kept token the pooled are not."""
    return [name for name in outputs if name == "decision" or (name == "pooled tokens" and probe.case.keep > 1)]


def _expect_no_gradient_to_neighbours(
    probe: Probe, b: int, outputs: dict[str, Tensor], cotangents: dict[str, Tensor], sources: dict[str, Tensor]
) -> None:
    for name, output in outputs.items():
        for source_name, source in sources.items():
            reached = probe.gradient(output, source, cotangents[name])
            to_others = reached[:b]
            expect_close(
                probe,
                f"gradient of {name} at b={b} to {source_name}[{'bnc'[: source.ndim]}]",
                "bnc"[: source.ndim],
                to_others,
                torch.zeros_like(to_others),
                tolerance=0.0,
                because="one sample's output depends on another sample of the batch",
            )


def _expect_modalities_same(probe: Probe, b: int, because: str) -> None:
    """Sample b of every modality, whatever the others' samples are."""

    def beside_others(name: str, part: Tensor) -> Tensor:
        mixed = 3 * values.draw("normal", part.shape, 1).to(part)
        mixed[b] = part.detach()[b]
        return probe.given(f"{name}_beside_others", mixed)

    tokens, features = inputs_by_name(probe, NAMES)
    before = run_modalities(probe, NAMES, tokens, features)
    strange_tokens = {name: beside_others(f"{name}_tokens", part) for name, part in tokens.items()}
    strange_features = {name: beside_others(f"{name}_feature", part) for name, part in features.items()}
    after = run_modalities(probe, NAMES, strange_tokens, strange_features)
    for name in NAMES:
        title = f"multimodal(...)[{name!r}] of sample b={b}"
        tolerance = rounding(probe, tokens[name].detach())
        expect_close(probe, title, "mc", after[name][b], before[name][b], tolerance=tolerance, because=because)


AXES = {"decision": "bn", "selected_tokens": "bkc", "pooled tokens": "bmc"}


def _expect_same(
    probe: Probe, name: str, seen: Tensor, owed: Tensor, because: str, *, of: str = "", in_any_order: bool = False
) -> None:
    """D and the kept tokens exactly, the pooled tokens to rounding. of: which part of the output this is."""
    if name == "selected_tokens" and in_any_order:  # where torch.topk is not asked to sort, any order is right
        seen, owed = _sorted(seen), _sorted(owed)
    tolerance = rounding(probe, probe.tokens) if name == "pooled tokens" else 0.0
    axes = AXES[name][-seen.ndim :]
    expect_close(probe, f"{name}[{axes}]{of}", axes, seen, owed, tolerance=tolerance, because=because)


def _sorted(selected: Tensor) -> Tensor:
    """The tokens of each sample by their first channel."""
    return selected.gather(1, selected[:, :, :1].argsort(1).expand_as(selected))


def _expect_same_gradient(probe: Probe, name: str, seen: Tensor, owed: Tensor, because: str) -> None:
    tolerance = SAME_GRADIENT[probe.case.dtype] * float(owed.abs().amax())
    axes = "bn"[-seen.ndim :]
    title = f"gradient of {name} to score[{axes}]"
    expect_close(probe, title, axes, seen, owed, tolerance=tolerance, because=because)


def _is_noiseless(probe: Probe, tokens: Tensor, score: Tensor, cotangent: Tensor, gradient: Tensor) -> bool:
    """Whether another seed gives the same gradient of the decision: else there is nothing to compare."""
    other = probe.select(tokens, score, seed=1).decision
    return torch.equal(gradient, probe.gradient(other, score, cotangent))


def _expect_same_alone(probe: Probe, b: int, before: dict[str, Tensor], cotangents: dict[str, Tensor]) -> None:
    """Sample b as a batch of one."""
    tokens = probe.given("tokens_alone", probe.tokens[b:])
    score = probe.given("score_alone", probe.score[b:], requires_grad=True)
    alone = _outputs(probe, tokens, score)
    because = f"as in the batch; now sample b={b} was given alone"
    for name in before:
        _expect_same(probe, name, alone[name], before[name][b:], because, of=" of one sample", in_any_order=True)
    if "decision" in before:
        owed = probe.gradient(before["decision"], probe.score, cotangents["decision"])
        if _is_noiseless(probe, probe.tokens, probe.score, cotangents["decision"], owed):
            seen = probe.gradient(alone["decision"], score, cotangents["decision"][b:])
            _expect_same_gradient(probe, "decision of one sample", seen, owed[b:], because)
