"""The table: one for each stage, size, dtype and device, a line for each implementation and mode."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from rich.table import Table
from rich.text import Text

from sdtps_ref.benchmarks import units
from sdtps_ref.benchmarks.bench.measurement import Row
from sdtps_ref.benchmarks.timing.machine import Machine

COLUMNS = ("time", "+-", "tokens/s", "limit", "of limit", "launches", "traffic", "kernels", "memory", "operators")
GPU_COLUMNS = ("host", "graph", "GPU kernels")

LEGEND = (
    "time: the median of the samples; +-: half the width of their middle half. Above 25 % it is too noisy to compare.",
    "limit: max(least bytes / bandwidth, FLOPs / rate) + one launch, measured here and now.",
    "launches, traffic, kernels: the rest. Gaps between operators, bytes and FLOPs beyond the least, slow operators.",
    "memory: at its peak, beyond weights and inputs.",
)
COMPILED_LEGEND = "compiled code is one piece: its operators are not seen, so nothing splits its time."


def heading(row: Row) -> str:
    """Stage, size, dtype and device."""
    cell = row.cell
    return f"{cell.stage}, {cell.size}, {cell.dtype}, {cell.device}"


def values(row: Row) -> dict[str, str]:
    """The cells of a line by column, as text; empty for a row that was refused."""
    if row.times is None or row.limit is None:
        return {}
    whole = row.times.seconds
    rest = {} if row.beyond is None else asdict(row.beyond)
    return {
        "time": units.seconds(whole),
        "+-": f"{units.share(row.times.spread)}{' noisy' * row.noisy}",
        "tokens/s": units.amount(row.tokens_per_second),
        "limit": units.seconds(row.limit.seconds),
        "of limit": units.share(row.fraction),
        "launches": units.share(rest.get("launches"), whole),
        "traffic": units.share(rest.get("traffic"), whole),
        "kernels": units.share(rest.get("kernels"), whole),
        "memory": units.size(row.peak_bytes),
        "operators": "-" if row.counts is None else str(len(row.counts.operators)),
        "host": units.seconds(row.times.host_seconds),
        "graph": units.seconds(row.graph_seconds),
        "GPU kernels": "-" if row.kernels is None else str(row.kernels),
    }


def table(rows: Sequence[Row]) -> Table:
    """Rows of one heading; `remarks` says below why something has no time, or no CUDA graph."""
    columns = COLUMNS + GPU_COLUMNS * any(row.cell.device.startswith("cuda") for row in rows)
    drawn = Table(title=heading(rows[0]), title_justify="left", title_style="bold", box=None, pad_edge=False)
    drawn.add_column("implementation", overflow="fold")  # gives way where the window is narrow
    drawn.add_column("mode", no_wrap=True)
    for column in columns:
        drawn.add_column(column, justify="right", no_wrap=True)
    for row in shortened(rows):
        shown = values(row) or {"time": "refused" if row.refusal.startswith("refused") else "not timed"}
        style = "red" if row.error else "yellow" if row.noisy or not row.times else ""
        mode = row.cell.mode if row.times else "any"
        drawn.add_row(row.subject, mode, *(shown.get(column, "-") for column in columns), style=style)
    return drawn


def shortened(rows: Sequence[Row]) -> list[Row]:
    """The rows, but what has no time in any mode for one reason only once."""
    found: dict[object, Row] = {}
    for row in rows:
        key: object = (row.subject, row.cell)
        if row.times is None:
            key = (row.subject, replace(row.cell, mode=""), row.refusal)
        found.setdefault(key, row)
    return list(found.values())


def remarks(rows: Sequence[Row]) -> list[Text]:
    """A line for each refusal, error, noisy time and CUDA graph that could not be had; each reason once."""
    found: dict[str, Text] = {}
    for row in rows:
        cell = row.cell
        if row.refusal:
            found.setdefault(row.subject + row.refusal, Text(f"  {row.subject}: {row.refusal}", style="yellow"))
        if row.error:
            text = Text(f"  {row.subject}, {cell.mode}: {row.error}", style="bold red")
            found[f"{row.subject} {cell.mode}"] = text
        if row.noisy and row.times is not None:
            said = f"too noisy to compare: the samples spread by {units.share(row.times.spread)} of their median"
            found[said + row.subject + cell.mode] = Text(f"  {row.subject}, {cell.mode}: {said}", style="yellow")
        if row.graph_refusal:
            said = f"  {row.subject}, {cell.mode}: no CUDA graph: {row.graph_refusal}"
            found.setdefault(said, Text(said, style="dim"))
    return list(found.values())


def machine_line(machine: Machine) -> str:
    """What the limits were made of."""
    measured = machine.to_json()
    bytes_per_second, flops = measured["bytes_per_second"], measured["flops_per_second"]
    assert isinstance(bytes_per_second, dict) and isinstance(flops, dict)
    parts = [f"launch {units.seconds(machine.launch)}"]
    if bytes_per_second:
        slow, fast = min(bytes_per_second.values()), max(bytes_per_second.values())
        parts.append(f"{units.amount(slow)}B/s to {units.amount(fast)}B/s, by working set")
    parts += [f"{units.amount(rate)}FLOP/s in {dtype}" for dtype, rate in flops.items()]
    return f"{machine.device}: {'; '.join(parts)}"
