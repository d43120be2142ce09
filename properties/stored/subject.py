"""What a certificate was written of, found again: where it names a place."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties import target as targets
from sdtps_ref.properties.certificate import Certificate
from sdtps_ref.properties.isolation.child import Child
from sdtps_ref.properties.isolation.subject import Named
from sdtps_ref.properties.terms import Limits, Terms, usual_memory
from sdtps_ref.properties.venue import InProcess, Venue


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
def found(terms: Terms, *, seconds: float | None = None, in_process: bool = False) -> Iterator[Venue]:
    """What `terms.target` names, in a process of its own, or in this one.

    seconds: for loading it and for a law, the profile's where None. Raises SDTPSError where it cannot be loaded.
    """
    assert terms.target is not None
    limits = Limits(terms.profile.seconds if seconds is None else seconds, usual_memory(terms.device))
    if in_process:
        loaded = targets.resolve(terms.target)
        yield InProcess(loaded.implementation, terms, "none, as asked", loaded.told)
        return
    with closing(Child(Named(terms.target), terms, limits)) as child:
        yield child


def changed(certificate: Certificate, now: Venue) -> str | None:
    """What to say where the target's file is not the one that was certified; None where it is."""
    then, read = certificate.implementation["sha256"], now.about.description["sha256"]
    if then == read:
        return None
    return f"the target's file is not what was certified: sha256 {_short(read)} now, {_short(then)} then"


def _short(sha256: str | None) -> str:
    return f"{sha256[:12]}..." if sha256 else "of no file"
