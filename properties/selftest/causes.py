"""Whether the first cause that is told is the one that was planted: by fault, and as a confusion table."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from rich.console import Console
from rich.progress import track
from rich.table import Table

from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, plant_all
from sdtps_ref.properties.selftest.planted_causes import PLANTED_CAUSES
from sdtps_ref.properties.selftest.selftest import judge_planted

AIM = 0.9  # of the planted faults, whose first cause is the planted one
NONE = "no cause"


@dataclass(frozen=True)
class Told:
    """What was said of one fault. planted: the kind of what is wrong. first: of the first cause told; other: of the
    explanation that it is one of two with; later: of the causes after it."""

    fault: str
    planted: str
    first: str
    other: str = ""
    later: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """right, one of two, later (a further cause is the planted one), or wrong."""
        if self.planted == self.first:
            return "right" if not self.other else "one of two"
        if self.planted == self.other:
            return "one of two"
        return "later" if self.planted in self.later else "wrong"


def told_of(certificates: Mapping[str, Certificate]) -> list[Told]:
    """What the causes of these certificates say, by fault; faults without a planted cause are left out."""
    found = []
    for fault, certificate in certificates.items():
        if fault not in PLANTED_CAUSES:
            continue
        causes = certificate.causes
        first, *rest = causes or (None,)
        found.append(
            Told(
                fault,
                PLANTED_CAUSES[fault],
                first.kind if first else NONE,
                first.alternative_kind if first else "",
                tuple(cause.kind for cause in rest if cause),
            )
        )
    return found


def share_right(told: list[Told]) -> float:
    """Of these faults, how many were told rightly, one of two included."""
    return sum(each.verdict in ("right", "one of two") for each in told) / max(len(told), 1)


def confusions(told: list[Told]) -> dict[tuple[str, str], list[str]]:
    """By planted kind and the kind that was told first, the faults for which these differ."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in told:
        if each.verdict in ("later", "wrong"):
            found.setdefault((each.planted, each.first), []).append(each.fault)
    return found


def by_kind(told: list[Told]) -> dict[str, tuple[int, int]]:
    """By planted kind, how many faults of it there are and how many were told rightly."""
    found: dict[str, tuple[int, int]] = {}
    for each in told:
        count, right = found.get(each.planted, (0, 0))
        found[each.planted] = count + 1, right + (each.verdict in ("right", "one of two"))
    return dict(sorted(found.items()))


def judged(console: Console | None = None, workers: int | None = None) -> dict[str, Certificate]:
    """Every planted fault held to all laws, so that what fails beside its own law is explained too."""
    plant_all()
    names = list(FAULTS)
    with ProcessPoolExecutor(workers or os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        results = pool.map(partial(judge_planted, whole=True), names)
        shown = (
            track(results, "looking for causes", len(names), console=console, transient=True) if console else results
        )
        return dict(zip(names, shown, strict=True))


def run_causes() -> int:
    """Print what was told of each fault and what was taken for what. Returns 0, or 1 under the aim."""
    console = Console(highlight=False)
    told = told_of(judged(console))
    console.print(table_of(told))
    for (planted, first), faults in confusions(told).items():
        console.print(f"{planted} taken for {first}: {', '.join(faults)}", style="bold red", markup=False)
    if unmeasured := sorted(set(FAULTS) - set(PLANTED_CAUSES)):
        console.print(f"not measured, for no cause is written down for them: {', '.join(unmeasured)}", markup=False)
    console.print(
        f"the first cause is the planted one in {share_right(told):.1%} of {len(told)} faults (aim {AIM:.0%})"
    )
    return 0 if share_right(told) >= AIM else 1


def table_of(told: list[Told]) -> Table:
    """A row a planted kind: its faults, and what was told first where that was another kind."""
    table = Table("planted", "faults", "told rightly", "taken for")
    wrong = confusions(told)
    for kind, (count, right) in by_kind(told).items():
        taken = ", ".join(first for planted, first in wrong if planted == kind)
        table.add_row(kind, str(count), str(right), taken)
    return table
