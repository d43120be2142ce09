"""Certify again what a certificate tells of, with its own settings, and say in what the two differ."""

from collections.abc import Callable
from dataclasses import dataclass

from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.certificates.shards import parts_of
from sdtps_ref.properties.engine.certify import certificate_of
from sdtps_ref.properties.engine.rerun_target import CannotRun, changed, found, place_of
from sdtps_ref.properties.engine.settings import PROFILES, RunSettings

# What is the same in a rerun, or says nothing of what it was measured with.
NOT_TOLD = ("profile", "seed", "device", "laws", "shard", "isolation", "databases", "expected")


@dataclass(frozen=True)
class Rerun:
    """The new certificate beside the stored one. note: how the target's file differs, where it does."""

    then: Certificate
    now: Certificate
    note: str | None

    @property
    def same(self) -> bool:
        """The verdict is reproduced."""
        return self.then.verdict == self.now.verdict

    def differences(self) -> list[str]:
        """Laws that came to something else, a line each."""
        now = {result.id: result for result in self.now.laws}
        lines = []
        for old in self.then.laws:
            new = now.get(old.id)
            if new is None or new.status != old.status:
                why = f": {new.failure.message if new.failure else new.reason}" if new else ""
                lines.append(f"{old.id} was {old.status}, is {new.status if new else 'not judged'}{why.rstrip(': ')}")
        return lines

    def surroundings(self) -> list[str]:
        """What it was measured with then and now, where that differs, a line each."""
        then, now = self.then.environment, self.now.environment
        return [
            f"{name} was {then[name]}, is {now[name]}"
            for name in then
            if name not in NOT_TOLD and name in now and then[name] != now[name]
        ]


def rerun(
    certificate: Certificate,
    *,
    target: str | None = None,
    seconds: float | None = None,
    in_process: bool = False,
    announce: Callable[[LawResult], None] = lambda result: None,
) -> Rerun:
    """Certify the target again with the certificate's profile, seed, device and laws.

    target: instead of the one that the certificate names. seconds, in_process: as `found` has them. announce: as
    `check_implementation` has it. Raises CannotRun for a profile that has no name here or an object that has no
    place, Refused for a target that cannot be loaded.
    """
    then = certificate.environment
    if then["profile"] not in PROFILES:
        raise CannotRun(f"profile {then['profile']!r} is the caller's own; accepted: {', '.join(PROFILES)}")
    settings = RunSettings(
        PROFILES[then["profile"]],
        then["seed"],
        then["device"],
        place_of(certificate, target),
        None if then["laws"] == "all" else tuple(then["laws"]),
        parts_of(certificate),
        {result.id: result.expected for result in certificate.laws if result.expected is not None},
    )
    with found(settings, seconds=seconds, in_process=in_process) as runner:
        now = certificate_of([runner], settings, reproduce=False, announce=announce)
        return Rerun(certificate, now, changed(certificate, runner))
