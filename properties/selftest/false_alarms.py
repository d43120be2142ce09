"""How often a right implementation is accused: every right one, under many seeds, and what that bounds."""

from dataclasses import dataclass, replace

import torch
from rich.console import Console
from rich.progress import track

from sdtps_ref.properties.engine.certify import check_implementation
from sdtps_ref.properties.engine.settings import PROFILES
from sdtps_ref.properties.selftest.planted.baseline import plant_all
from sdtps_ref.properties.selftest.selftest import make_right, right_names
from sdtps_ref.properties.selftest.workers import results_of
from sdtps_ref.properties.signals.tail_bounds import largest_rate

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Accusation:
    """A right implementation refused: by which law, under which seed, saying what."""

    name: str
    seed: int
    law: str
    message: str


def accusations(name: str, seed: int) -> list[Accusation]:
    """The MUST laws that refuse the right implementation `name` in profile quick under `seed`."""
    torch.set_num_threads(1)
    plant_all()
    profile = replace(PROFILES["quick"], shrink=False)
    certificate = check_implementation(make_right(name), profile=profile, seed=seed, reproduce=False, isolated=False)
    return [
        Accusation(name, seed, result.id, result.failure.message if result.failure else result.reason)
        for result in certificate.laws
        if result.refuses
    ]


def run_false_alarms(seeds: int) -> int:
    """Print every accusation as it comes, then the bound on their rate. Returns 0, or 1 where there was one.

    Seed by seed, so that an interrupted count is a whole one of fewer seeds.
    """
    console = Console(highlight=False, markup=False)
    names = right_names()
    runs = [(name, seed) for seed in range(seeds) for name in names]
    judged = accused = 0
    try:
        with results_of(accusations, *zip(*runs, strict=True)) as results:
            for found in track(results, "judging right ones", total=len(runs), console=console, transient=True):
                judged, accused = judged + 1, accused + bool(found)
                for each in found:
                    console.print(f"{each.name}, seed {each.seed}: {each.law}: {each.message}", soft_wrap=True)
    finally:
        if judged:
            _print_bound(console, accused, judged, len(names))
    return 1 if accused else 0


def _print_bound(console: Console, accused: int, judged: int, names: int) -> None:
    bound = largest_rate(accused, judged, 1 - CONFIDENCE)
    console.print(
        f"{accused} of {judged} runs refused ({names} right implementations, {judged // names} seeds, "
        f"profile quick): at most {bound:.2%} of runs, with {CONFIDENCE:.0%} confidence "
        "(Clopper-Pearson)",
        soft_wrap=True,
    )
