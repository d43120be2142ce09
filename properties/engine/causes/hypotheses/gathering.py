"""What may be wrong with D forward, and with the tokens that are gathered by it."""

from __future__ import annotations

from sdtps_ref.properties.engine.causes.hypotheses.speaking import WAKE_OF_CHOICE, count_is_wrong, is_hard
from sdtps_ref.properties.engine.causes.hypothesis import MISLED, OTHER_RESULTS, STEEP, UNTRAINED, Hypothesis

HYPOTHESES = (
    Hypothesis(
        "decision.soft_forward",
        "the soft mask is used forward: D holds numbers between 0 and 1",
        lambda r: r["decision.values"] == "soft",
        ("decision.forward_is_hard",),
        WAKE_OF_CHOICE,
        UNTRAINED,
        4,
        effect="tokens are weighted in training and cut off afterwards: another model is deployed",
        fix="decision = hard_mask + (soft_mask - soft_mask.detach())",
        training="soft in training",
    ),
    Hypothesis(
        "decision.rounding",
        "D is 0 and 1 but for rounding, as `hard + soft - soft.detach()` is without its parentheses",
        lambda r: r["decision.values"] == "rounded",
        ("decision.forward_is_hard",),
        WAKE_OF_CHOICE,
        OTHER_RESULTS,
        4,
        effect="a D of 0.99999994 moves a logit by 596 through a mask of 1e10",
        fix="decision = hard_mask + (soft_mask - soft_mask.detach())",
    ),
    Hypothesis(
        "decision.two_sides",
        "the two sides of soft - soft.detach() are rounded differently under autocast",
        lambda r: r["decision.values_under_autocast"] in ("rounded", "soft") and is_hard(r),
        ("runtime.autocast",),
        WAKE_OF_CHOICE,
        OTHER_RESULTS,
        3,
        effect="D is no longer hard in mixed precision",
        fix="soft_mask.detach() of the very tensor that is added",
    ),
    Hypothesis(
        "gather.first_k",
        "the first K tokens are taken, not those that D marks",
        lambda r: r["gather.of"] == "the first K",
        ("selection.gathers_kept_tokens",),
        WAKE_OF_CHOICE,
        MISLED,
        3,
        effect="the score decides nothing of what is pooled",
        fix="tokens.gather(1, keep_indices.unsqueeze(-1).expand(-1, -1, C))",
        training="the choice is not trained",
    ),
    Hypothesis(
        "gather.another_sample",
        "tokens of another sample are gathered: indices of a row are used on the flattened batch",
        lambda r: r["gather.of"] == "another sample's",
        ("selection.gathers_kept_tokens", "symmetry.batch_independent"),
        WAKE_OF_CHOICE,
        MISLED,
        3,
        effect="every sample is given the first one's tokens",
        fix="tokens.gather(1, keep_indices.unsqueeze(-1).expand(-1, -1, C))",
        training="samples are mixed up",
    ),
    Hypothesis(
        "gather.other_tokens",
        "other tokens of the sample are gathered than D marks",
        lambda r: r["gather.of"] == "other tokens of the sample" and is_hard(r) and not count_is_wrong(r),
        ("selection.gathers_kept_tokens", "selection.decision_is_aligned"),
        WAKE_OF_CHOICE,
        MISLED,
        effect="a token answers for another one's score",
        fix="gather the tokens by the keep_indices that D is made of",
    ),
    Hypothesis(
        "decision.order",
        "D at the kept positions comes in another order than the tokens{how}",
        lambda r: (
            r["selected_decision.order"] in ("by place", "another")
            and r["gather.of"] == "the marked"
            and r["gradient.repeats"]
            and {"how": ": by place" * (r["selected_decision.order"] == "by place")}
        ),
        ("selection.decision_is_aligned",),
        WAKE_OF_CHOICE,
        MISLED,
        3,
        effect="a token answers for another one's score",
        fix="selected_decision = decision.gather(-1, keep_indices)",
        training="gradients go to other tokens",
    ),
    Hypothesis(
        "tokens.detached",
        "the selected tokens carry no gradient",
        lambda r: r["gather.gradient"] == 0.0 or r["gather.gradient"] == -0.0,
        ("selection.tokens_carry_gradient",),
        WAKE_OF_CHOICE,
        UNTRAINED,
        3,
        effect="nothing before the selection is trained through the tokens",
        fix="gather the tokens themselves, not tokens.detach() or tokens.data",
        training="the backbone gets no gradient",
    ),
    Hypothesis(
        "tokens.gradient_scaled",
        "the selected tokens hand on {slope} times their gradient",
        lambda r: (
            isinstance(r["gather.gradient"], float)
            and abs(r["gather.gradient"]) > 1e-9
            and abs(r["gather.gradient"] - 1) > 1e-3
            and {"slope": f"{r['gather.gradient']:.3g}"}
        ),
        ("selection.tokens_carry_gradient",),
        WAKE_OF_CHOICE,
        STEEP,
        3,
        effect="what is before the selection learns at another rate",
        fix="gather the tokens, and nothing else",
    ),
)
