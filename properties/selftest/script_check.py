"""Whether failures' scripts tell the truth: each shows its fault, and shows nothing on the same code without it."""

from sdtps_ref.properties.certificates.certificate import Certificate, Failure
from sdtps_ref.properties.engine.reproduce import run_here, shows
from sdtps_ref.properties.engine.runner import calm_torch
from sdtps_ref.properties.kit import process_state
from sdtps_ref.properties.kit.global_state import preserve_functions
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.kit.rendering import NEVER_RIGHT, NOT_REPRODUCED, REPRODUCED
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, Plain

LACKS = ("KeyError", "AttributeError", "IndexError")  # a buffer, a parameter or an output that only the fault has


def script_complaints(faults: dict[str, Certificate]) -> list[str]:
    """What is wrong with the scripts of the laws that faults name. They run in this process, milliseconds each."""
    found = []
    for name, certificate in faults.items():
        named = FAULTS[name].expected_law
        failure = next((result.failure for result in certificate.laws if result.id == named), None)
        if failure is None or named.startswith("call."):  # a survivor; what one call tells has the user's line instead
            continue
        if not failure.judges:
            if all_laws()[named].budget == "distributed":  # a script starts no processes
                continue
            found.append(f"{name}: the script of {named} checks nothing")
        elif not shows(failure, _run(failure, FAULTS[name]())):
            found.append(f"{name}: the script of {named} does not reproduce its failure")
        elif not _is_silent(failure, Plain()):
            found.append(f"{name}: the script of {named} does not say {NOT_REPRODUCED!r} of the code without the fault")
    return found


def _is_silent(failure: Failure, right: Plain) -> bool:
    """Whether the script says of right code that it is right, or that code refused what had to be refused."""
    said, raised = _run(failure, right)
    if raised in LACKS and raised != failure.raised:
        return NOT_REPRODUCED not in said and REPRODUCED not in said  # right code lacks the part that the fault has
    if failure.raised:
        return raised != failure.raised  # it may well refuse, as it should, in other words
    if NEVER_RIGHT in failure.script:
        return raised not in ("", "SystemExit")
    return said.strip().endswith(NOT_REPRODUCED)


def _run(failure: Failure, implementation: object) -> tuple[str, str]:
    """What the script printed and raised. Some faults leave torch changed, which is no business of the next one."""
    with process_state.Kept(), calm_torch(), preserve_functions("a script", set()):
        return run_here(failure.script, implementation)
