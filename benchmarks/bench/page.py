"""A run as one page of HTML that needs nothing beside it: tables, plots, and what they were measured on."""

from collections.abc import Sequence
from typing import Any

from sdtps_ref.benchmarks import units
from sdtps_ref.benchmarks.bench import plots, table
from sdtps_ref.benchmarks.bench.measurement import Row
from sdtps_ref.benchmarks.timing.environment import NO_GPU, in_words, why_no_gpu
from sdtps_ref.properties.reports.page import render


def page(rows: Sequence[Row], record: dict[str, Any]) -> str:
    """The page of `rows`; record: what `running.record` made of them. Raises MissingLibrary."""
    return render(
        "sdtps_ref.benchmarks.bench",
        "bench.html",
        record=record,
        units=units,
        in_words=in_words,
        sections=[_section(number, together) for number, together in enumerate(_together(rows))],
        columns=table.COLUMNS + table.GPU_COLUMNS,
        gpu_columns=table.GPU_COLUMNS,
        legend=[*table.LEGEND, table.COMPILED_LEGEND],
        no_gpu=why_no_gpu(),
        short_no_gpu=NO_GPU.partition(":")[0] if why_no_gpu() else "",
    )


def _together(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of one stage, dtype and device: they share a plot."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.cell.device, row.cell.stage, row.cell.dtype), []).append(row)
    return list(groups.values())


def _section(number: int, rows: list[Row]) -> dict[str, Any]:
    first = rows[0].cell
    title = f"{first.stage}, {first.dtype}, {first.device}"
    timed = any(row.times is not None for row in rows)
    return {
        "title": title,
        "plot": plots.time_against_size(rows, title, f"plot{number}") if timed else None,
        "lines": [{"row": row, "shown": table.values(row)} for row in table.shortened(rows)],
        "remarks": [remark.plain.strip() for remark in table.remarks(rows)],
    }
