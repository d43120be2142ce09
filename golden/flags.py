"""Why a vector exists: what each flag means, and which mistake it catches."""

NOTES = {
    "Ordinary": (
        "Nothing special about it.",
        "a formula that is wrong everywhere: another axis, a missing term, a transposed weight",
    ),
    "OneSample": ("B = 1.", "an axis of length one squeezed away"),
    "SquareBatch": ("B = N, so both axes have one length.", "a softmax, top-K or gather over the batch"),
    "KeepOne": ("K = 1.", "an axis of K squeezed away; a softmax of one entry is 1 and has no gradient"),
    "KeepAll": ("K = N, nothing is dropped.", "an extra token that is NaN, from the softmax of nothing; K off by one"),
    "DropOne": (
        "K = N - 1: one token is dropped, and it is the extra token.",
        "one dropped token taken for none; an axis of N - K squeezed away",
    ),
    "OneToken": ("N = 1.", "an axis of N squeezed away; min-max of one value"),
    "Ties": (
        "Equal scores at the boundary between kept and dropped. The vector keeps the lower position; any K highest "
        "scores are as right, and what depends on the choice is then not compared.",
        "a mask `score >= k-th score`, which keeps too many",
    ),
    "InnerTies": (
        "Equal scores, all of them kept or all of them dropped: the set is the only right one.",
        "positions looked up by value, which finds the first of two equals twice",
    ),
    "ManyTokens": (
        "N = 40, past the length up to which torch's sorts are stable by chance.",
        "an order taken as given",
    ),
    "ConstantRow": (
        "Every score of a row is the same (for relevances: every token is the same).",
        "a division by a spread of zero; everything kept, or nothing",
    ),
    "SmallSpread": (
        "A row of relevances spreads less than the 1e-3 that its spread counts as at least.",
        "an epsilon in place of the floor; a factor, such as 1 / C, that any other min-max cancels",
    ),
    "HugeScore": ("Scores of 1e4.", "exp without subtracting the maximum, which overflows"),
    "TinyScore": ("Scores of 1e-30.", "an epsilon added to scores or compared with them"),
    "CloseScores": (
        "Scores one unit in the last place apart.",
        "a top-K in a coarser dtype, which cannot tell them apart",
    ),
    "NegativeScores": ("Every score is below zero.", "dropped tokens marked by a score of zero, which then win"),
    "ColdTau": ("tau below 1.", "tau multiplied instead of divided; exp that overflows"),
    "WarmTau": ("tau above 1.", "tau multiplied instead of divided, or applied to the score only"),
    "NoNoise": ("No noise: eval mode.", "noise that is drawn in eval mode, or a gradient that is missing there"),
    "InfiniteNoise": (
        "A uniform of exactly 0 or 1, which generators return in half precision: -log(-log u) is infinite.",
        "inf - inf = NaN in the decision; the noise must be clamped to a finite number",
    ),
    "EdgeUniform": ("Uniforms at the ends of what a float format holds.", "an epsilon inside the logarithms"),
    "MaskedNoise": ("A noise of -inf: that token's soft mask is exactly zero.", "0 * inf or inf - inf = NaN"),
    "SameTokens": (
        "Every token is the same: any pooling gives that token, and no score matters.",
        "weights that do not sum to one",
    ),
    "ManySlots": ("M is not less than K.", "M and K mistaken for each other"),
    "OneSlot": ("M = 1.", "an axis of M squeezed away"),
    "OneChannel": ("C = 1: LayerNorm gives its bias.", "an axis of C squeezed away"),
    "SomeDropped": (
        "The decision holds zeros: those tokens weigh nothing.",
        "a mask of the wrong sign, or added after the softmax",
    ),
    "NoDecision": ("No decision is given: no mask.", "a mask that is not optional"),
    "Scale": ("The learned scale is far from one, or negative.", "a scale left out, or applied after the mask"),
    "LargeBias": ("Biases of the layers are large.", "a bias left out, or normalised away"),
    "PublishedMask": (
        "The mask logits - (1 - D) * gain with the published gain of 1e10: the gradient to the score is gain times as "
        "large, those to tokens and logits are the same.",
        "a constant other than 1e10, or D passed on without its gradient",
    ),
    "DecisionOnly": ("The gradient of <cotangent, decision> alone.", "D detached; a soft mask without its 1 / tau"),
    "Beta": ("Another beta than 0.25.", "a constant where beta belongs"),
    "Unequal": ("The branches' scores are unlike each other.", "one branch's decision or weights used for both"),
    "Modalities": ("Another number of modalities than three.", "a formula written for exactly two others"),
    "Published": (
        "The published size B=4, N=128, K=64, C=512, M=25, as digests and samples.",
        "what only fails at size",
    ),
}
