"""Who watches the laws: every planted fault must be refused by the law that names it, every right one certified."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.engine.certify import check_implementation
from sdtps_ref.properties.engine.settings import Profile
from sdtps_ref.properties.kit import process_state
from sdtps_ref.properties.kit.cost import ALL_BUDGETS
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.reference import Reference
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, VARIANTS, Plain, plant_all
from sdtps_ref.properties.selftest.script_check import script_complaints
from sdtps_ref.properties.selftest.strangers import RIGHT, WRONG
from sdtps_ref.properties.selftest.workers import results_of

# Shrinking finds the nicest example; here only who failed counts.
PROFILE = Profile("selftest", examples=12, minimum=10, shrink=False)
REFERENCES: dict[str, Callable[[], Any]] = {
    f"reference, mask={mask}": partial(Reference, mask) for mask in ("subtract", "log")
}

STRANGERS = {each.name for each in (*RIGHT, *WRONG)}

Matrix = tuple[dict[str, Certificate], dict[str, Certificate]]


def kill_matrix(console: Console) -> Matrix:
    """The certificates of every planted fault, and of every right implementation, by name.

    Every law on every one of them, on all cores, compiling the right ones too: half an hour.
    """
    plant_all()
    right, faults = right_names(), list(FAULTS)
    everyone = [*faults, *right]
    with results_of(partial(judge_planted, whole=True), everyone) as results:
        judged = dict(zip(everyone, _watched(results, len(everyone), console), strict=True))
    return {name: judged[name] for name in faults}, {name: judged[name] for name in right}


def eager_faults() -> list[str]:
    """The faults that take seconds: nothing is compiled for them, and no process started. Strangers are left out."""
    plant_all()
    eager = [name for name, planted in FAULTS.items() if all_laws()[planted.expected_law].budget == "eager"]
    return [name for name in eager if name not in STRANGERS]


def judge_planted(name: str, *, whole: bool) -> Certificate:
    """The certificate of one planted implementation, judged in this process.

    whole: by every law, compiling a right one too. Otherwise a fault meets the law that names it and what that rests
    on, and nothing is compiled.
    """
    torch.set_num_threads(1)
    plant_all()
    stages = sorted({law_id.partition(".")[0] for law_id in all_laws()})
    if name in FAULTS:
        # A stage brings the laws that the profile has time for; an id, whatever time it takes.
        named = {FAULTS[name].expected_law} & set(all_laws())
        laws = [*stages, *named] if whole else sorted(named)
        with process_state.Kept():  # what one leaves behind is no business of the next
            return check_implementation(FAULTS[name](), profile=PROFILE, laws=laws, reproduce=False, isolated=False)
    right = make_right(name)
    compiles = whole and not getattr(right, "eager_only", False)
    profile = replace(PROFILE, budgets=ALL_BUDGETS) if compiles else PROFILE
    return check_implementation(right, profile=profile, laws=stages, reproduce=False, isolated=False)


def right_names() -> list[str]:
    """The right implementations: the plain one, its variants, and the reference with both masks."""
    plant_all()
    return ["plain", *VARIANTS, *REFERENCES]


def make_right(name: str) -> Any:
    """The right implementation of that name."""
    made: dict[str, Callable[[], Any]] = {"plain": Plain, **VARIANTS, **REFERENCES}
    return made[name]()


def _watched(results: Iterator[Certificate], total: int, console: Console) -> Iterable[Certificate]:
    return track(results, "holding the planted to the laws", total=total, console=console, transient=True)


def complaints(faults: dict[str, Certificate], right: dict[str, Certificate]) -> list[str]:
    """What is wrong with the laws: survivors, idle laws, false accusations."""
    found = []
    for name, certificate in faults.items():
        named = FAULTS[name].expected_law
        if named not in all_laws():
            found.append(f"{name} names the law {named}, which does not exist")
        elif named not in killers(certificate):
            others = ", ".join(killers(certificate)) or "nobody"
            found.append(f"{name} survived {named}; killed by {others}")
    killing = {FAULTS[name].expected_law for name in faults}
    found += [f"{law_id} is named by no fault" for law_id in all_laws() if law_id not in killing]
    for name, certificate in right.items():
        accused = [result.id for result in certificate.laws if result.refuses]
        if certificate.verdict != "certified":
            found.append(f"{name} is right, but refused by {', '.join(accused)}")
    return found


def killers(certificate: Certificate) -> list[str]:
    """The laws that an implementation broke or raised under."""
    return [result.id for result in certificate.laws if result.status in ("failed", "error")]


def run_selftest() -> int:
    """Print the kill matrix and what is wrong with it. Returns 0, or 1 where something is."""
    console = Console(highlight=False)
    faults, right = kill_matrix(console)
    table = Table("planted fault", "killed by the law that names it", "and by")
    for name, certificate in faults.items():
        named, all_killers = FAULTS[name].expected_law, killers(certificate)
        also = ", ".join(killer for killer in all_killers if killer != named)
        table.add_row(name, named if named in all_killers else f"[bold red]survives {named}[/]", also)
    console.print(table)
    for name, certificate in right.items():
        console.print(f"right: {name}: {certificate.verdict}")
    found = complaints(faults, right) + script_complaints(faults)
    for complaint in found:
        console.print(complaint, style="bold red", markup=False)
    console.print(f"{len(faults)} faults, {len(all_laws())} laws, {len(right)} right ones: {len(found)} complaints")
    return 1 if found else 0
