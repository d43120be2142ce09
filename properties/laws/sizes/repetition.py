"""Many tokens and large batches, made of few: what is repeated is answered as before."""

from dataclasses import replace

import torch

from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.execution_modes import memory
from sdtps_ref.properties.kit.expect import expect_close
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals.aggregation_analysis import rounding

# Each is repeated until there are as many tokens as said; the batch is as large as it looks.
REPEATED = (
    (Case(2, 3, 1, 8, 2, dtype="float64", training=False), 33),
    (Case(5, 4, 3, 8, 3, dtype="float64", training=False, seed=1), 43),
    (Case(2, 13, 5, 16, 7, dtype="float64", training=False, seed=2), 13),
    (Case(1, 12, 5, 8, 2, dtype="float32", training=False, scores="distinct", seed=3), 87),
    (Case(2, 3, 2, 8, 33, dtype="float64", training=False, seed=4), 1367),
    (Case(3, 8, 4, 72, 1, dtype="float32", training=False, scores="distinct", seed=5), 16),
)
TIMES = dict(REPEATED)
MANY = (
    Case(66, 7, 3, 8, 2, dtype="float64", training=False),
    Case(130, 5, 2, 16, 3, training=False, scores="distinct", seed=1),
    Case(1030, 4, 2, 8, 2, dtype="float64", training=False, seed=2),
)


@law(
    needs="aggregator|pipeline",
    depends="shape.follows_inputs",
    domain=Domain(fixed=tuple(case for case, _ in REPEATED)),
)
def pooling_of_repeated_tokens(probe: Probe) -> None:
    """f(tokens r times over, scores r times over, K r) = f(tokens, scores, K), for up to 4000 tokens; and the gradient
    of each copy is 1 / r of the token's, of its score 1 / r^2.

    Why: a weighted mean does not change when everything in it is there r times, so that small sizes, which other laws
    look at closely, say what large ones must give.
    Breaks when: a kernel or a loop leaves out what is beyond its tile, adds up in halves, or takes the maximum of a
    part; weights are normalised by a constant; or a slot sees a limited number of tokens.
    Remedy: one softmax over all kept tokens, and one product with all of them.
    """
    case = probe.case
    times = TIMES.get(replace(case, device="cpu", seed=case.seed % 1000), 16)
    for method in ("aggregator", "pipeline"):
        if method not in probe.methods:
            continue
        small = probe.build(method)
        large = small
        if method == "pipeline":
            large = probe.build(method, num_tokens=case.num_tokens * times, keep=case.keep * times)
            if not _same_weights(probe, small, large):
                raise Unsupported("its weights depend on the number of tokens")
        if method == "aggregator":
            tokens = probe.tokens[:, : case.keep]
            second = torch.ones_like(tokens[:, :, 0])
        else:
            tokens, second = probe.tokens, probe.score.detach()
        few = [probe.given("few", tokens, requires_grad=True), probe.given("second", second, requires_grad=True)]
        copied = [tokens.repeat(1, times, 1), second.repeat(1, times)]
        recipes = [
            f"{probe.script.shown(f)}.detach().repeat{shape}"
            for f, shape in zip(few, ((1, times, 1), (1, times)), strict=True)
        ]
        many = [
            probe.given(name, part, requires_grad=True, recipe=recipe)
            for name, part, recipe in zip(("many", "many_second"), copied, recipes, strict=True)
        ]
        owed = probe.call(small, *few, name="pooled")
        seen = probe.call(large, *many, name="pooled_many")
        tolerance = rounding(probe, tokens)
        why = f"as the {method} gives for one of the {times} copies of each token"
        what = f"{method} of {tokens.shape[1] * times} tokens"
        expect_close(probe, what, "bmc", seen, owed, tolerance=tolerance, because=why)
        cotangent = probe.random(owed)
        noisy = method == "pipeline" and not torch.equal(
            probe.gradient(owed, few[1], cotangent),
            probe.gradient(probe.call(small, *few, name="pooled", seed=1), few[1], cotangent),
        )
        for i, (name, axes) in enumerate((("tokens", "bnc"), ("D" if method == "aggregator" else "score", "bn"))):
            if i and (noisy or case.keep < 2):
                continue  # one kept token has no gradient to tell
            share = times * times if i and method == "pipeline" else times
            expected = probe.gradient(owed, few[i], cotangent)
            repeated = expected.repeat(1, times, *[1] * (expected.ndim - 2)) / share
            found = probe.gradient(seen, many[i], cotangent)
            close = (1e-6 if case.dtype == "float64" else 2e-3) * float(repeated.abs().amax())
            why = f"1/{share} of the gradient where each token is there once"
            title = f"gradient of the {what} to {name}"
            expect_close(probe, title, axes, found, repeated, tolerance=close + 1e-12, because=why)


def _same_weights(probe: Probe, small: object, large: object) -> bool:
    first, second = memory(small), memory(large)
    return first.keys() == second.keys() and all(
        first[name].shape == second[name].shape and torch.equal(first[name], second[name]) for name in first
    )


@law(needs="aggregator|pipeline", depends="symmetry.batch_independent", domain=Domain(fixed=MANY))
def samples_of_a_large_batch(probe: Probe) -> None:
    """f(batch)[b] = f(batch[b : b + 1]) for the first, the last and the 64th sample of 66, 130 and 1030; forward, and
    the gradient to tokens and score.

    Why: batches of that size are what it is trained with, and nobody looks at the 65th sample.
    Breaks when: samples go in chunks whose start is forgotten, or a buffer or a grid holds so many of them only.
    Remedy: let torch run over the batch, or let the last chunk be a smaller one and count from its start.
    """
    case = probe.case
    for method in ("aggregator", "pipeline"):
        if method not in probe.methods:
            continue
        built = probe.build(method)
        if method == "aggregator":
            whole = [probe.tokens[:, : case.keep], torch.ones_like(probe.score[:, : case.keep])]
        else:
            whole = [probe.tokens, probe.score]
        recipes = [probe.case.recipe("tokens"), probe.case.recipe("score")] if method == "pipeline" else [None, None]
        given = [
            probe.given(name, part, requires_grad=True, recipe=recipe)
            for name, part, recipe in zip(("tokens_given", "second"), whole, recipes, strict=True)
        ]
        together = probe.call(built, *given, name="together")
        cotangent = probe.random(together)
        reached = [probe.gradient(together, part, cotangent) for part in given]
        repeatable = torch.equal(
            reached[1], probe.gradient(probe.call(built, *given, name="again", seed=1), given[1], cotangent)
        )
        for b in (0, 63, 64, case.batch - 1):
            alone = [probe.given(f"sample_{b}", part.detach()[b : b + 1], requires_grad=True) for part in given]
            single = probe.call(built, *alone, name="single")
            why = f"as the {method} gives for that sample alone"
            tolerance = rounding(probe, probe.tokens)
            row = together[b : b + 1]
            probe.script.name(row, f"{probe.script.shown(together)}[{b}:{b + 1}]")
            title = f"{method} of {case.batch} samples, sample {b},"
            expect_close(probe, title, "bmc", row, single, tolerance=tolerance, because=why)
            direction = probe.given("direction", cotangent[b : b + 1])
            for i, (name, axes) in enumerate((("tokens", "bnc"), ("D" if method == "aggregator" else "score", "bn"))):
                if i and (not repeatable or case.keep < 2):
                    continue
                owed = probe.gradient(single, alone[i], direction)
                part = reached[i][b : b + 1]
                probe.script.name(part, f"{probe.script.shown(reached[i])}[{b}:{b + 1}]")
                close = (1e-6 if case.dtype == "float64" else 1e-3) * float(owed.abs().amax()) + 1e-12
                title = f"gradient of the {method} of {case.batch} samples to {name} of sample {b},"
                expect_close(probe, title, axes, part, owed, tolerance=close, because=why)
