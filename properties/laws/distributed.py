"""The model on several processes: what it learns there is what it learns on one."""

from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.digits import apart
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals.model import built_model, own_inputs, parameters, run, tensors
from sdtps_ref.properties.signals.processes import RANKS, in_two_processes

# In eval mode there is no noise, so every row has the same in whichever process it is.
EVAL = Domain(fixed=(Case(batch=4, num_tokens=9, keep=5, dim=32, slots=3, dtype="float64", training=False),))


@law(needs="model", level="SHOULD", depends="training.everything_is_trained", domain=EVAL, budget="distributed")
def gradient_equals_single_process(probe: Probe) -> None:
    """Under DistributedDataParallel on two processes, gradient = that of one process on the joined batch (eval mode).

    Why: otherwise a sample is scored by what else lies in its own process's batch, and the score network
    learns something else on two cards than on one, from the same data and the same seed.
    Breaks when: scores are normalised over the batch and not over the tokens, decisions or scores are
    sent between processes (which drops their gradient), or a gradient is written by hand past autograd.
    Remedy: normalise along the token axis only, and leave gradients to autograd and to DDP.
    """
    module, inputs = built_model(probe)
    if not isinstance(module, nn.Module):
        raise Unsupported("DistributedDataParallel wraps modules only")
    owned = own_inputs(probe, inputs)
    batch = _batch(owned)
    named = parameters(probe, module)

    joined = Pass(probe, module, owned, batch)
    single = joined.gradients(named)
    again = Pass(probe, module, owned, batch, joined.cotangents, seed=1).gradients(named)
    largest = max(float(gradient.abs().amax()) for gradient in single.values())
    tolerances = {name: 1e-6 * float(single[name].abs().amax()) + 1e-12 * largest for name in named}
    if any((again[name] - single[name]).abs().amax() > tolerances[name] for name in named):
        raise Unsupported("there is noise in eval mode, which is not the same in two processes")

    halves = [slice(rank * batch // RANKS, (rank + 1) * batch // RANKS) for rank in range(RANKS)]
    _expect_sum_of_halves(probe, module, owned, halves, joined, single, tolerances)

    def work(rank: int) -> dict[str, Any]:
        module.zero_grad(set_to_none=True)
        parallel = nn.parallel.DistributedDataParallel(module)
        part = _rows(owned, batch, halves[rank])
        found = [
            out for _, out in tensors(parallel(**part), "output") if _has_rows(out, len(range(batch)[halves[rank]]))
        ]
        terms = [(out * c[halves[rank]]).sum() for out, c in zip(found, joined.cotangents, strict=True)]
        (RANKS * torch.stack(terms).sum()).backward()  # DDP takes the mean over processes
        return {name: None if p.grad is None else p.grad.numpy() for name, p in named.items()}

    with probe.unrecorded():
        answers = in_two_processes(work)
    for rank, answer in enumerate(answers):
        if isinstance(answer, Exception):
            raise Violation(f"under DistributedDataParallel the model raised {answer}, but should run as it does alone")
        for name, gradient in answer.items():
            seen = torch.zeros_like(single[name]) if gradient is None else torch.from_numpy(gradient)
            _expect_same(f"under DistributedDataParallel, process {rank}", name, seen, single[name], tolerances[name])


class Pass:
    """One forward pass and the number that its outputs make with the cotangents."""

    def __init__(
        self,
        probe: Probe,
        module: nn.Module,
        inputs: dict[str, Any],
        batch: int,
        cotangents: list[Tensor] | None = None,
        seed: int = 0,
    ):
        outputs = {where: out for where, out in run(probe, module, inputs, seed=seed).items() if _has_rows(out, batch)}
        if not outputs:
            raise Unsupported("no output of the model has a row for every sample")
        self.probe = probe
        self.cotangents = cotangents or [probe.random(out) for out in outputs.values()]
        if len(self.cotangents) != len(outputs):
            raise Unsupported("the number of the model's outputs depends on the batch")
        pairs = zip(outputs.values(), self.cotangents, strict=True)
        self.total = torch.stack([(out * cotangent).sum() for out, cotangent in pairs]).sum()

    def gradients(self, named: dict[str, Tensor]) -> dict[str, Tensor]:
        """The gradient to every parameter."""
        found = self.probe.gradients(self.total, list(named.values()))
        return {
            name: torch.zeros_like(p) if gradient is None else gradient
            for (name, p), gradient in zip(named.items(), found, strict=True)
        }

    def gradient(self, source: Tensor) -> Tensor:
        """One of them, which the script tells."""
        one = self.probe.given("one", torch.ones_like(self.total))
        return self.probe.gradient(self.total, source, one)


def _expect_sum_of_halves(
    probe: Probe,
    module: nn.Module,
    owned: dict[str, Any],
    halves: list[slice],
    joined: Pass,
    single: dict[str, Tensor],
    tolerances: dict[str, float],
) -> None:
    """What DDP adds up is right only if the halves of the batch do not depend on each other."""
    named = parameters(probe, module)
    batch, passes = _batch(owned), []
    for half in halves:
        cotangents = [c[half] for c in joined.cotangents]
        passes.append(Pass(probe, module, _rows(owned, batch, half), half.stop - half.start, cotangents))
    parts = [one.gradients(named) for one in passes]
    for name, parameter in named.items():
        added = torch.stack([part[name] for part in parts]).sum(0)
        if (added - single[name]).abs().amax() <= tolerances[name]:
            continue
        apart = torch.stack([one.gradient(parameter) for one in passes]).sum(0) - joined.gradient(parameter)
        check = apart.abs().amax() <= tolerances[name]
        _expect_same("summed over two halves of the batch", name, added, single[name], tolerances[name], check)


def _expect_same(
    where: str, name: str, seen: Tensor, owed: Tensor, tolerance: float, check: Tensor | None = None
) -> None:
    gap = (seen - owed).abs()
    if (gap <= tolerance).all():
        return
    index = tuple(int(i) for i in torch.unravel_index(gap.nan_to_num(torch.inf).argmax(), gap.shape))
    saw, due = apart(float(seen[index]), float(owed[index]), least=6)
    raise Violation(
        f"gradient to parameter {name!r} at {list(index)}, {where}, = {saw}, but should be "
        f"{due} as in a single process on the joined batch "
        f"({int((~(gap <= tolerance)).sum())} of {gap.numel()} entries are off by more than {tolerance:.3g})",
        check=check,
    )


def _batch(inputs: dict[str, Any]) -> int:
    sizes = [part.shape[0] for _, part in tensors(inputs, "") if part.ndim >= 2]
    if not sizes or sizes[0] < RANKS:
        raise Unsupported("the model's inputs hold fewer samples than there are processes")
    return sizes[0]


def _has_rows(output: Tensor, batch: int) -> bool:
    return output.requires_grad and output.ndim >= 2 and output.shape[0] == batch


def _rows(inputs: Any, batch: int, rows: slice) -> Any:
    """Some samples of the inputs, in whatever they are packed."""
    if isinstance(inputs, dict):
        return {name: _rows(part, batch, rows) for name, part in inputs.items()}
    if isinstance(inputs, list):
        return [_rows(part, batch, rows) for part in inputs]
    if not isinstance(inputs, Tensor) or inputs.ndim == 0 or inputs.shape[0] != batch:
        return inputs
    return inputs.detach()[rows].requires_grad_(inputs.requires_grad)  # or outputs that hold an input would lose theirs
