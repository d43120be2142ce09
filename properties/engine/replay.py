"""Rerun the case that a certificate stores for a law, on the target that it names."""

from dataclasses import dataclass

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.certificates.certificate import Certificate, Failure
from sdtps_ref.properties.engine.device import why_absent
from sdtps_ref.properties.engine.rerun_target import CannotRun, changed, found, place_of
from sdtps_ref.properties.engine.settings import PROFILES, RunSettings
from sdtps_ref.properties.kit.law import all_laws


@dataclass(frozen=True)
class Replayed:
    """What a stored case came to now.

    failure: as it was stored. message: what the law says now; None where it passes. target: on what it was run.
    note: where that is not what was certified, how it differs.
    """

    law: str
    failure: Failure
    message: str | None
    target: str
    note: str | None

    @property
    def same(self) -> bool:
        """It fails with the words it failed with then."""
        return self.message == self.failure.message


def stored_case(certificate: Certificate, law_id: str) -> Failure:
    """The failure of that law. Raises InvalidInput where the certificate has none; it says which laws have one."""
    failures = {result.id: result.failure for result in certificate.laws if result.failure is not None}
    failure = failures.get(law_id)
    if failure is None:
        statuses = {result.id: result.status for result in certificate.laws}
        was = f", which is {statuses[law_id]} in it" if law_id in statuses else ", which is not in it"
        raise InvalidInput.given(
            f"law {law_id!r}{was} and stores no case",
            f"a law that failed: {', '.join(failures) or 'there is none in this certificate'}",
        )
    if law_id not in all_laws():
        raise CannotRun(f"{law_id} is a law of another version than this one")
    return failure


def replay(
    certificate: Certificate,
    law_id: str,
    *,
    target: str | None = None,
    seconds: float | None = None,
    in_process: bool = False,
) -> Replayed:
    """Hold the target to the law on the stored case alone, once.

    target: instead of the one that the certificate names. seconds, in_process: as `found` has them. Raises
    InvalidInput for a law that stores no case, and CannotRun or what loading a target raises where the case cannot
    be run here.
    """
    failure = stored_case(certificate, law_id)
    place = place_of(certificate, target)
    _expect_device(failure.case.device)
    profile = PROFILES.get(certificate.environment["profile"], PROFILES["quick"])
    with found(RunSettings(profile, target=place), seconds=seconds, in_process=in_process, trial=False) as runner:
        result = runner.tried(all_laws()[law_id], only=failure.case)
        note = changed(certificate, runner)
    if result.status != "passed" and result.failure is None:
        raise CannotRun(f"the stored case of {law_id} says nothing here: {result.reason}")
    message = None if result.failure is None else result.failure.message
    return Replayed(law_id, failure, message, place, note)


def _expect_device(device: str) -> None:
    if why := why_absent(device):
        raise CannotRun(f"the stored case needs device {device!r}, which torch does not have here: {why}")
