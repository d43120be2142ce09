"""What a certificate was written of, found again: where it names a place."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.engine.isolation.child import SubprocessRunner
from sdtps_ref.properties.engine.isolation.subject import Named
from sdtps_ref.properties.engine.runner import InProcessRunner, Runner
from sdtps_ref.properties.engine.settings import Limits, RunSettings, usual_memory
from sdtps_ref.properties.targets import target as targets


class CannotRun(SDTPSError):
    """There is nothing to run again, or nothing to run it on; the message is one line."""


def place_of(certificate: Certificate, target: str | None = None) -> str:
    """`target`, or else the one that the certificate names. Raises CannotRun where it names none."""
    place = target or certificate.implementation["target"]
    if place is None:
        name = certificate.implementation["name"]
        raise CannotRun(f"{name} was certified as an object in memory, so nothing names it; accepted: --target TARGET")
    return place


@contextmanager
def found(
    settings: RunSettings, *, seconds: float | None = None, in_process: bool = False, trial: bool = True
) -> Iterator[Runner]:
    """What `settings.target` names, in a process of its own, or in this one.

    seconds: for loading it and for a law, the profile's where None. trial: see `SubprocessRunner`. Raises SDTPSError
    where it cannot be loaded.
    """
    assert settings.target is not None
    limits = Limits(settings.profile.seconds if seconds is None else seconds, usual_memory(settings.device))
    if in_process:
        loaded = targets.resolve(settings.target)
        yield InProcessRunner(loaded.implementation, settings, "none, as asked", loaded.told)
        return
    with closing(SubprocessRunner(Named(settings.target), settings, limits, trial=trial)) as child:
        yield child


def changed(certificate: Certificate, now: Runner) -> str | None:
    """What to say where the target's file is not the one that was certified; None where it is."""
    then, read = certificate.implementation["sha256"], now.about.description["sha256"]
    if then == read:
        return None
    return f"the target's file is not what was certified: sha256 {_short(read)} now, {_short(then)} then"


def _short(sha256: str | None) -> str:
    return f"{sha256[:12]}..." if sha256 else "of no file"
