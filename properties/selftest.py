"""Who watches the laws: every planted fault must be refused by the law that names it, every right one certified."""

from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from sdtps_ref.properties.certificate import Certificate
from sdtps_ref.properties.certify import ALL_BUDGETS, Profile, check_implementation
from sdtps_ref.properties.law import all_laws
from sdtps_ref.properties.planted.plain import FAULTS, VARIANTS, Plain, plant_all
from sdtps_ref.properties.reference import Reference

# Shrinking finds the nicest example; here only who failed counts. To compile every fault would take
# minutes: only those are compiled that name a law which compiles, and the right ones.
PROFILE = Profile("selftest", examples=12, minimum=10, shrink=False)
WITH_COMPILING = replace(PROFILE, budgets=ALL_BUDGETS)


def kill_matrix(console: Console | None = None) -> tuple[dict[str, Certificate], dict[str, Certificate]]:
    """The certificates of every planted fault, and of every right implementation, by name."""
    plant_all()
    subjects: dict[str, Any] = {name: made() for name, made in FAULTS.items()}
    right: dict[str, Any] = {"plain": Plain(), **{name: made() for name, made in VARIANTS.items()}}
    right |= {subject.name: subject for subject in (Reference("subtract"), Reference("log"))}
    stages = sorted({law_id.partition(".")[0] for law_id in all_laws()})
    judged = {}
    everyone = list((subjects | right).items())
    for name, subject in track(everyone, "holding the planted to the laws", console=console, transient=True):
        # Of a stage, the laws that the profile has time for; what is named by its id, whatever it takes.
        laws = [*stages, *{getattr(subject, "kills", "")} & set(all_laws())]
        slow = name in right and not getattr(subject, "eager_only", False)
        profile = WITH_COMPILING if slow else PROFILE
        judged[name] = check_implementation(subject, profile=profile, laws=laws, reproduce=False)
    return {name: judged[name] for name in subjects}, {name: judged[name] for name in right}


def complaints(faults: dict[str, Certificate], right: dict[str, Certificate]) -> list[str]:
    """What is wrong with the laws: survivors, idle laws, false accusations."""
    found = []
    for name, certificate in faults.items():
        named = FAULTS[name].kills
        if named not in all_laws():
            found.append(f"{name} names the law {named}, which does not exist")
        elif named not in killers(certificate):
            others = ", ".join(killers(certificate)) or "nobody"
            found.append(f"{name} survived {named}; killed by {others}")
    killing = {FAULTS[name].kills for name in faults}
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
        named, all_killers = FAULTS[name].kills, killers(certificate)
        also = ", ".join(killer for killer in all_killers if killer != named)
        table.add_row(name, named if named in all_killers else f"[bold red]survives {named}[/]", also)
    console.print(table)
    for name, certificate in right.items():
        console.print(f"right: {name}: {certificate.verdict}")
    found = complaints(faults, right)
    for complaint in found:
        console.print(complaint, style="bold red", markup=False)
    console.print(f"{len(faults)} faults, {len(all_laws())} laws, {len(right)} right ones: {len(found)} complaints")
    return 1 if found else 0
