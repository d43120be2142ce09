"""What the gate prints and writes: a row a cell, the verdict, and the same as JSON."""

import math
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sdtps_ref.benchmarks import units
from sdtps_ref.benchmarks.gate.measuring.revisions import Operand
from sdtps_ref.benchmarks.gate.rule.judging import Judgement
from sdtps_ref.benchmarks.gate.rule.verdict import EXIT, INCONCLUSIVE, NOT_SLOWER, SLOWER, Rule, Verdict, overall

STYLES = {NOT_SLOWER: "green", SLOWER: "bold red", INCONCLUSIVE: "yellow"}
SAID = {
    NOT_SLOWER: "NOT SLOWER: no cell passed the tolerance, and every control held.",
    SLOWER: "SLOWER: in the cells that say so, where their controls held.",
    INCONCLUSIVE: "INCONCLUSIVE: no pass. A quieter machine may tell, or more --seconds.",
}
SHORT = {"forward+backward": "fwd+bwd"}


def print_verdicts(console: Console, verdicts: list[Verdict], rule: Rule, seconds: float) -> None:
    """The table, the reasons, and the verdict in one line."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for heading in ("BASE", "HEAD", "99 % over", "A/A", f"slowed {100 * rule.dose:.3g} %", "n"):
        table.add_column(heading, justify="right")
    table.add_column("", no_wrap=True)
    sizes = {verdict.cell.size for verdict in verdicts}
    for size in sorted(sizes, key=str):
        table.add_row(Text(str(size), style="dim"))
        for verdict in verdicts:
            if verdict.cell.size == size:
                table.add_row(*_row(verdict))
    console.print(table)
    console.print()
    for verdict in verdicts:
        if verdict.why:
            console.print(f"{verdict.cell}: {verdict.why}", soft_wrap=True)
    says = overall(verdicts)
    console.print(Text(SAID[says], style=STYLES[says]), soft_wrap=True)
    console.print(
        f"Tolerance {100 * rule.tolerance:g} %; {len(verdicts)} cells in {seconds:.0f} s; n: processes.",
        style="dim",
        soft_wrap=True,
    )


def _row(verdict: Verdict) -> list[str | Text]:
    head = verdict.head
    return [
        f"{verdict.cell.stage} {SHORT.get(verdict.cell.mode, verdict.cell.mode)}",
        units.seconds(verdict.seconds),
        _percent(head.percent),
        _percent(head.lower_percent),
        _percent(verdict.again.percent),
        _percent(verdict.slow.percent),
        str(head.processes),
        Text(verdict.says, style=STYLES[verdict.says]),
    ]


def to_json(
    base: Operand, head: Operand, verdicts: list[Verdict], rule: Rule, environment: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Plain data: ratios as they are (1.05 for 5 % slower), times in seconds."""
    says = overall(verdicts)
    return {
        "verdict": says,
        "exit_status": EXIT[says],
        "base": {"given": base.given, "meant": base.meant},
        "head": {"given": head.given, "meant": head.meant},
        "tolerance": rule.tolerance,
        "slowed_control": rule.dose,
        "level": rule.level,
        "environment": environment,
        "seconds": seconds,
        "cells": [
            {
                **asdict(verdict.cell),
                "size": str(verdict.cell.size),
                "verdict": verdict.says,
                "why": verdict.why,
                "base_seconds": verdict.seconds,
                "head": _ratio(verdict.head),
                "again": _ratio(verdict.again),
                "slowed": _ratio(verdict.slow) | {"dose": verdict.dose},
                "processes": verdict.head.processes,
            }
            for verdict in verdicts
        ],
    }


def _ratio(judgement: Judgement) -> dict[str, float]:
    return {
        "ratio": math.exp(judgement.ratio),
        "lower_bound": math.exp(judgement.lower),
        "chance": judgement.chance,
    }


def _percent(value: float) -> str:
    return f"{value:+.1f} %"
