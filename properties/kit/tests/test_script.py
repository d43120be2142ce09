"""A failure's script: tensors name themselves, and what nobody can name is refused."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sdtps_ref.properties.engine.reproduce import run_here
from sdtps_ref.properties.kit import naming
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.expect import expect_close
from sdtps_ref.properties.kit.naming import UnnamedTensor
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.rendering import Loader

CASE = Case(batch=2, num_tokens=5, keep=2, dim=4, slots=2, dtype="float64", training=False)
LOADER = "# `implementation` is bound already"


class Scaling:
    """A selector whose D is `factor` at the first two tokens."""

    name = "scaling"

    def __init__(self, factor: float):
        self.factor = factor

    def selector(self, **sizes: int) -> Callable[..., Any]:
        """As the contract has it."""

        def select(tokens: Tensor, score: Tensor) -> Any:
            decision = torch.zeros_like(score)
            decision[:, :2] = self.factor
            return SimpleNamespace(selected_tokens=tokens[:, :2], decision=decision)

        return select


def script_of(check: Callable[[Probe], None], factor: float = 0.5) -> str:
    """The script of what the check raises."""
    probe = Probe(Scaling(factor), CASE)
    with pytest.raises(Violation) as raised, probe.recording():
        check(probe)
    return probe.script.render(raised.value.check, str(raised.value), Loader(LOADER), raised.value)


def slices(probe: Probe) -> None:
    """A slice against another one, and a number."""
    first = probe.select().decision[:, 0]
    expect_close(probe, "first", "b", first, torch.ones_like(first), tolerance=0.0)


def products(probe: Probe) -> None:
    """What is made in several steps of what the implementation gave."""
    decision = probe.select().decision
    twice = 2 * decision
    sums = (twice - decision).sum(-1)
    expect_close(probe, "sums", "b", sums, (1 - twice[:, 4:]).squeeze(-1) * 2, tolerance=1e-9)


def in_place(probe: Probe) -> None:
    """Something that the law writes into."""
    cotangent = torch.zeros_like(probe.score)
    cotangent[0] = 3.0
    total = (probe.select().decision * cotangent).sum()
    if total != 6:
        raise Violation("the total is wrong", check=total == 6)


def structured(probe: Probe) -> None:
    """One of several results of one call."""
    highest = probe.select().decision.topk(2)
    raise_unless = (highest.values == 1).all()
    if not raise_unless:
        raise Violation("the highest are wrong", check=raise_unless)


def unpacked(probe: Probe) -> None:
    """The rows of a tensor, one by one."""
    for row in probe.select().decision:
        if row[0] != 1:
            raise Violation("a row is wrong", check=row[0] == 1)


@pytest.mark.parametrize("law", [slices, products, in_place, structured, unpacked])
def test_what_a_law_computes_is_computed_again(law: Callable[[Probe], None]) -> None:
    """The script says `reproduced` of the code that it was made from, and `not reproduced` of the same code mended."""
    script = script_of(law)

    assert run_here(script, Scaling(0.5))[0].endswith("\nreproduced\n")
    assert run_here(script, Scaling(1.0))[0].endswith("\nnot reproduced\n")
    assert "0.5" not in script.split("right = ")[1].split("print(")[0]  # no number of the broken code's


def test_a_tensor_is_called_what_the_law_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is used once stands where it is used; the rest has the law's own variable's name."""
    monkeypatch.setattr(naming, "WRITERS", (__name__,))

    script = script_of(products)

    assert "twice = selection.decision * 2" in script
    assert "(twice - selection.decision).sum(-1)" in script


def from_numpy(probe: Probe) -> Tensor:
    """What torch did not make."""
    return torch.from_numpy(np.asarray(probe.select().decision.detach()))


def by_hand(probe: Probe) -> Tensor:
    """What is made of such a tensor."""
    return from_numpy(probe)[:, :2] * 2


@pytest.mark.parametrize("unnamed", [from_numpy, by_hand])
def test_what_has_no_name_is_refused(unnamed: Callable[[Probe], Tensor]) -> None:
    """On either side of a comparison, though it would hold; and not where it is said to be a constant."""
    probe = Probe(Scaling(1.0), CASE)

    with probe.recording():
        strange = unnamed(probe)
        known = probe.select().decision[:, : strange.shape[1]]
        with pytest.raises(UnnamedTensor, match="unknown origin"):
            expect_close(probe, "decision", "bn", strange, known, tolerance=9.0)
        with pytest.raises(UnnamedTensor, match="what decision should be"):
            expect_close(probe, "decision", "bn", known, strange, tolerance=9.0)
        expect_close(probe, "decision", "bn", known, strange, tolerance=9.0, constant=True)


def test_the_implementation_never_meets_the_recorder() -> None:
    """Nothing of torch is watched while it runs, for it may compile itself; and the mode is gone after a failure."""
    seen: list[int] = []

    class Looking(Scaling):
        def selector(self, **sizes: int) -> Callable[..., Any]:
            select = super().selector(**sizes)

            def look(tokens: Tensor, score: Tensor) -> Any:
                seen.append(torch._C._len_torch_function_stack())
                return select(tokens, score)

            return look

    probe = Probe(Looking(0.5), CASE)
    before = torch._C._len_torch_function_stack()
    with pytest.raises(Violation), probe.recording():
        inside = torch._C._len_torch_function_stack()
        slices(probe)

    assert seen == [before]
    assert inside == before + 1
    assert torch._C._len_torch_function_stack() == before
