"""The call of somebody's own module, timed as it is: at its own sizes, in its own dtype, where its tensors are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from sdtps_ref.benchmarks import units
from sdtps_ref.benchmarks.bench.measurement import MOST_SPREAD, Terms
from sdtps_ref.benchmarks.timing.counting import Counts, count
from sdtps_ref.benchmarks.timing.machine import Machine
from sdtps_ref.benchmarks.timing.timing import Times, least_seconds, measure
from sdtps_ref.benchmarks.workloads.eligibility import Admissions
from sdtps_ref.benchmarks.workloads.implementations import Subject
from sdtps_ref.properties.kit.differences import tensors_of
from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.signals.model import leaves

COLUMNS = ("mode", "time", "+-", "memory", "operators", "FLOPs")


@dataclass(frozen=True)
class CallRow:
    """A call in one mode: why it has no time, or its times and what it did."""

    subject: str
    mode: str
    refusal: str = ""
    times: Times | None = None
    counts: Counts | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data; seconds, bytes, FLOPs."""
        plain: dict[str, Any] = {"subject": self.subject, "mode": self.mode, "refusal": self.refusal}
        if self.times is not None and self.counts is not None:
            plain |= {
                "seconds": self.times.seconds,
                "spread": self.times.spread,
                "noisy": self.times.spread > MOST_SPREAD,
                "samples": list(self.times.device),
                "calls_per_sample": self.times.calls,
                "peak_bytes": self.counts.peak_bytes,
                "operators": len(self.counts.operators),
                "flops": self.counts.flops,
            }
        return plain


def call_rows(
    subject: Subject, machine: Machine, modes: Sequence[str], admissions: Admissions, terms: Terms
) -> list[CallRow]:
    """A row for each of `modes`, in train mode; what is refused, or raises, has one row that says so."""
    certificate = admissions.certificate(subject.implementation, subject.target, machine.device)
    broken = [law.id for law in certificate.laws if law.refuses]
    if broken or certificate.verdict != "certified":
        return [CallRow(subject.name, "any", f"refused by {', '.join(broken)}" if broken else certificate.verdict)]
    rows = []
    run = subject.implementation.subject.run(going_on=True)
    for mode in modes:
        try:
            work = _work(run, mode)
            least = least_seconds(machine.device)
            times = measure([work], machine.clock, least=least, samples=terms.samples, most_seconds=terms.most_seconds)
            rows.append(CallRow(subject.name, mode, times=times, counts=count(work)))
        except Exception as error:  # a stranger's code, or no memory left: the other rows stand
            said = (str(error).strip() or "no message").splitlines()[0]
            rows.append(CallRow(subject.name, mode, f"raised {type(error).__name__}: {said}"))
    return rows


def table(rows: Sequence[CallRow]) -> Table:
    """Rows of one call."""
    drawn = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        drawn.add_column(column, justify="left" if column == "mode" else "right", no_wrap=True)
    for row in rows:
        if row.times is None or row.counts is None:
            drawn.add_row(row.mode, "refused" if row.refusal.startswith("refused") else "not timed", style="yellow")
            continue
        spread = f"{units.share(row.times.spread)}{' noisy' * (row.times.spread > MOST_SPREAD)}"
        did = (units.size(row.counts.peak_bytes), str(len(row.counts.operators)), units.amount(row.counts.flops))
        drawn.add_row(row.mode, units.seconds(row.times.seconds), spread, *did)
    return drawn


def device_of(subject: Subject) -> str:
    """Where the tensors are that its call returns."""
    returned = tensors_of(subject.implementation.subject.run()())
    return str(returned[0].device) if returned else "cpu"


def _work(run: Callable[[], Any], mode: str) -> Callable[[], None]:
    """The work of a mode, to be done any number of times. The cotangents are random, as a softmax asks for."""
    if mode == "forward":
        return lambda: _drop(run())
    outputs = _trained(run())
    sources = leaves(outputs)
    cotangents = [draw("normal", tuple(tensor.shape), i).to(tensor) for i, tensor in enumerate(outputs)]

    def backward(of: list[Tensor]) -> None:
        _drop(torch.autograd.grad(of, sources, cotangents, retain_graph=True, allow_unused=True))

    if mode == "backward":
        return lambda: backward(outputs)
    return lambda: backward(_trained(run()))


def _trained(returned: Any) -> list[Tensor]:
    return [tensor for tensor in tensors_of(returned) if tensor.requires_grad]


def _drop(results: Any) -> None:
    """Let go of them."""
