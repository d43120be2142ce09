"""A run of `sdtps certify`, from its options to the certificate: found, announced, kept in the journal."""

import argparse
import contextlib
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from sdtps_ref.properties import target as targets
from sdtps_ref.properties.certificate import Certificate, LawResult, environment
from sdtps_ref.properties.certify import certificate_of
from sdtps_ref.properties.isolation.child import Child
from sdtps_ref.properties.isolation.launch import Launched
from sdtps_ref.properties.isolation.subject import Named
from sdtps_ref.properties.journal import Journal, JournalError, usual_path
from sdtps_ref.properties.report import law_line
from sdtps_ref.properties.terms import Limits, Terms
from sdtps_ref.properties.venue import InProcess, Venue


def certified(
    options: argparse.Namespace, terms: Terms, limits: Limits, launched: Sequence[Launched], console: Console
) -> Certificate:
    """The certificate of `options.target`; a line a law is printed as it comes. Raises SDTPSError.

    launched: the processes to try it in; none to try it in this one.
    """
    with _venues(terms, limits, launched) as venues:
        for line in venues[0].about.told:
            console.print(Text(line, style="dim"), soft_wrap=True)
        header = {"implementation": venues[0].about.description, "environment": environment(terms, venues[0].isolation)}
        journal = Journal(options.journal or usual_path(terms), header)
        so_far = journal.results() if options.resume else {}
        keep = journal.add if options.resume or _begun(journal, options, console) else lambda result: None

        def announce(result: LawResult) -> None:
            keep(result)
            console.print(law_line(result), soft_wrap=True)

        if so_far:
            console.print(f"{len(so_far)} laws are judged already, in {journal.path}", style="dim")
        return certificate_of(venues, terms, so_far=so_far, announce=announce)


def _begun(journal: Journal, options: argparse.Namespace, console: Console) -> bool:
    try:
        journal.begin()
    except JournalError as error:
        if options.journal is not None:
            raise
        console.print(Text(f"{error}; this run cannot be resumed", style="dim"), soft_wrap=True)
        return False
    return True


@contextlib.contextmanager
def _venues(terms: Terms, limits: Limits, launched: Sequence[Launched]) -> Iterator[list[Venue]]:
    assert terms.target is not None
    with contextlib.ExitStack() as closing:
        venues: list[Venue] = [
            closing.enter_context(contextlib.closing(Child(Named(terms.target), terms, limits, process)))
            for process in launched
        ]
        if not venues:
            found = targets.resolve(terms.target)
            venues.append(InProcess(found.implementation, terms, "none, as asked", found.told))
        yield venues
