"""Some laws alone: their faults, and every right implementation, in seconds."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from rich.console import Console

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.engine.certify import judge
from sdtps_ref.properties.engine.make_settings import make_settings
from sdtps_ref.properties.kit.law import Law, all_laws
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, plant_all
from sdtps_ref.properties.selftest.script_check import script_complaints
from sdtps_ref.properties.selftest.selftest import PROFILE, judge_planted, killers, make_right, right_names


def run_selftest_of(given: Sequence[str]) -> int:
    """Hold the faults of these laws, and all that is right, to them alone; print what came of it. Returns 0 or 1.

    given: ids of laws, or of stages. Raises InvalidInput for one that names nothing.
    """
    console = Console(highlight=False, markup=False)
    torch.set_num_threads(1)
    plant_all()
    laws = {law.id: law for law_id in given for law in _named(law_id)}
    found = []
    for law in laws.values():
        faults = {name: judge_planted(name, whole=False) for name in FAULTS if FAULTS[name].expected_law == law.id}
        for name, certificate in faults.items():
            _print_fault(console, law, name, certificate)
        found += _complaints(law, faults) + _accusations(law)
    for complaint in found:
        console.print(complaint, style="bold red", soft_wrap=True)
    console.print(f"{len(laws)} laws, {len(right_names())} right implementations: {len(found)} complaints")
    return 1 if found else 0


def _named(given: str) -> list[Law]:
    laws = [law for law in all_laws().values() if given in (law.id, law.id.partition(".")[0])]
    if not laws:
        raise InvalidInput.given(f"law {given!r}", f"a law's id or its stage: {', '.join(all_laws())}")
    return laws


def _print_fault(console: Console, law: Law, name: str, certificate: Certificate) -> None:
    result = next((each for each in certificate.laws if each.id == law.id), None)
    said = "not judged" if result is None else result.failure.message if result.failure else result.reason
    console.print(f"{name}: {result.status if result else ''} {law.id}: {said}", soft_wrap=True)


def _complaints(law: Law, faults: dict[str, Certificate]) -> list[str]:
    if not faults:
        return [f"{law.id} is named by no fault"]
    survivors = [
        f"{name} survived {law.id}; killed by {', '.join(killers(certificate)) or 'nobody'}"
        for name, certificate in faults.items()
        if law.id not in killers(certificate)
    ]
    return survivors + script_complaints(faults)


def _accusations(law: Law) -> list[str]:
    """The right implementations that the law refuses, without a look at the laws it rests on."""
    found = []
    for name in right_names():
        right = make_right(name)
        if law.budget != "eager" and getattr(right, "eager_only", False):
            continue
        result: LawResult = judge(replace(law, depends=()), right, {}, make_settings(PROFILE, 0, "cpu", laws=(law.id,)))
        if result.refuses:
            said = result.failure.message if result.failure else result.reason
            found.append(f"{name} is right, but refused by {law.id}: {said}")
    return found
