"""One row of the table: a stage of an implementation in one mode, timed where it may be, with all that goes with it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from sdtps_ref.benchmarks.timing import gpu
from sdtps_ref.benchmarks.timing.counting import Counts, count
from sdtps_ref.benchmarks.timing.limits import Work, work
from sdtps_ref.benchmarks.timing.machine import Limit, Machine
from sdtps_ref.benchmarks.timing.overhead import Beyond, beyond, excess_ratio, floor
from sdtps_ref.benchmarks.timing.timing import Call, Times, least_seconds, measure
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.benchmarks.workloads.eligibility import Admissions
from sdtps_ref.benchmarks.workloads.implementations import STAGE_METHODS, Subject
from sdtps_ref.benchmarks.workloads.sizes import Size
from sdtps_ref.benchmarks.workloads.workload import Workload
from sdtps_ref.benchmarks.workloads.workloads import make
from sdtps_ref.properties.contract import provided

# The same operators on next to nothing: what they take is what there is between them.
NEXT_TO_NOTHING = Size(B=1, N=4, K=2, C=16, M=2)
MOST_SPREAD = 0.25  # of the median; a time with more is marked as too noisy


@dataclass(frozen=True)
class Row:
    """What came of a cell: why it has no time, or the times and what they are compared with.

    graph_seconds: replayed as a CUDA graph, None with the reason in `graph_refusal`. kernels: on a GPU.
    counts: None for compiled code, whose operators nobody sees. peak_bytes: None where they are not seen either.
    """

    subject: str
    cell: Cell
    refusal: str = ""
    times: Times | None = None
    work: Work | None = None
    limit: Limit | None = None
    beyond: Beyond | None = None
    counts: Counts | None = None
    peak_bytes: int | None = None
    kernels: int | None = None
    graph_seconds: float | None = None
    graph_refusal: str = ""

    @property
    def tokens_per_second(self) -> float | None:
        """B N tokens a median time; of one modality's tokens, three times."""
        if self.times is None:
            return None
        return self.cell.size.tokens * (3 if self.cell.stage == "multimodal" else 1) / self.times.seconds

    @property
    def fraction(self) -> float | None:
        """The limit over the median time: 1 is the best that the machine could do."""
        return None if self.times is None or self.limit is None else self.limit.seconds / self.times.seconds

    @property
    def noisy(self) -> bool:
        """Whether the samples lie too far apart for their median to be compared with another."""
        return self.times is not None and self.times.spread > MOST_SPREAD

    @property
    def error(self) -> str:
        """Faster than the limit is an error, not a record: of the limit, of its formula, or of the work done."""
        if self.times is None or self.limit is None or self.times.seconds >= self.limit.seconds:
            return ""
        return f"faster than the limit: {self.times.seconds:.3g} s, where {self.limit.seconds:.3g} s is the least"

    def to_json(self) -> dict[str, Any]:
        """Plain data; seconds, bytes, FLOPs."""
        itemsize = getattr(torch, self.cell.dtype).itemsize
        plain: dict[str, Any] = {"subject": self.subject} | asdict(self.cell) | {"refusal": self.refusal}
        if self.times is None or self.work is None or self.limit is None:
            return plain
        plain |= {
            "seconds": self.times.seconds,
            "host_seconds": self.times.host_seconds,
            "spread": self.times.spread,
            "noisy": self.noisy,
            "samples": list(self.times.device),
            "calls_per_sample": self.times.calls,
            "tokens_per_second": self.tokens_per_second,
            "least_bytes": self.work.bytes(itemsize),
            "least_flops": self.work.flops,
            "limit_seconds": self.limit.seconds,
            "limit": asdict(self.limit) | {"bound_by": self.limit.bound_by},
            "fraction_of_limit": self.fraction,
            "error": self.error,
            "beyond": None if self.beyond is None else asdict(self.beyond),
            "peak_bytes": self.peak_bytes,
            "kernels": self.kernels,
            "graph_seconds": self.graph_seconds,
            "graph_refusal": self.graph_refusal,
            "operators": None,
        }
        if self.counts is not None:
            plain["operators"] = len(self.counts.operators)
            plain["synchronisations"] = self.counts.synchronisations
            plain["bytes_moved"] = self.counts.bytes
            plain["bytes_over_least"] = excess_ratio(self.counts, self.work, itemsize)
            plain["flops"] = self.counts.flops
        return plain


@dataclass(frozen=True)
class Terms:
    """How rows are measured. samples: of each time; most_seconds: after which three of them are enough."""

    samples: int = 20
    most_seconds: float = 2.0
    rotated: int = 2


def rows(
    subject: Subject,
    stage: str,
    size: Size,
    dtype: str,
    machine: Machine,
    modes: Sequence[str],
    admissions: Admissions,
    terms: Terms | None = None,
) -> list[Row]:
    """A row for each of `modes`; what is refused, or not offered, has rows that say so."""
    cells = [Cell(stage, size, mode, dtype, machine.device) for mode in modes]
    method, terms = STAGE_METHODS[stage], terms or Terms()
    try:
        refusal = f"offers no {method}"
        if method in provided(subject.implementation):
            refusal = admissions.refusal(subject, stage, size, dtype, machine.device)
        if not refusal:
            workload = make(subject.implementation, stage, size, dtype, machine.device, rotated=terms.rotated)
            return [_row(cell, subject, workload, machine, terms) for cell in cells]
    except Exception as error:  # a stranger's code, or no memory left: the other rows stand
        refusal = _raised(error)
    return [Row(subject.name, cell, refusal) for cell in cells]


def _row(cell: Cell, subject: Subject, workload: Workload, machine: Machine, terms: Terms) -> Row:
    try:
        extra = cell.stage == "selection" and _has_extra(workload)
        return _timed(cell, subject, workload, work(cell.stage, cell.mode, cell.size, extra=extra), machine, terms)
    except Exception as error:
        return Row(subject.name, cell, _raised(error))


def _raised(error: Exception) -> str:
    return f"raised {type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"


def _timed(cell: Cell, subject: Subject, workload: Workload, owed: Work, machine: Machine, terms: Terms) -> Row:
    calls = workload.calls(cell.mode)
    times = _times(calls, machine, terms)
    limit = machine.limit(owed, cell.dtype, times.seconds)
    row = Row(subject.name, cell, times=times, work=owed, limit=limit)
    if machine.kind == "cuda":
        row = _on_gpu(row, calls[0], machine, terms)
    # Under the counter compiled code would run eagerly, now and ever after.
    if subject.compiled:
        return row
    counts = count(calls[0])
    row = replace(row, counts=counts, peak_bytes=counts.peak_bytes if row.peak_bytes is None else row.peak_bytes)
    if row.beyond is not None:
        waited = row.beyond.launches
    else:
        small = make(subject.implementation, cell.stage, NEXT_TO_NOTHING, cell.dtype, cell.device)
        waited = _times(small.calls(cell.mode), machine, terms).seconds - limit.launch
    return replace(row, beyond=beyond(times.seconds, limit, waited, floor(counts, machine, cell.dtype)))


def _on_gpu(row: Row, call: Call, machine: Machine, terms: Terms) -> Row:
    assert row.times is not None and row.limit is not None
    ran = gpu.kernels(call)
    peak = gpu.peak_bytes(call)
    replay, refusal = gpu.replayed(call, row.cell.mode)
    replayed = None if replay is None else _times([replay], machine, terms).seconds
    waited = row.times.seconds - ran.busy
    return replace(
        row,
        kernels=ran.count,
        peak_bytes=peak,
        graph_seconds=replayed,
        graph_refusal=refusal,
        beyond=beyond(row.times.seconds, row.limit, waited, None),
    )


def _times(calls: Sequence[Call], machine: Machine, terms: Terms) -> Times:
    least = least_seconds(machine.device)
    return measure(calls, machine.clock, least=least, samples=terms.samples, most_seconds=terms.most_seconds)


def _has_extra(workload: Workload) -> bool:
    """Whether the selector returns an extra token, which is then part of its work."""
    result = workload.built(*workload.inputs[0].arguments)
    return getattr(result, "extra_token", None) is not None
