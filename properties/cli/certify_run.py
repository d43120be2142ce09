"""A run of `sdtps certify`, from its options to the certificate: found, announced, kept in the journal."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

from rich.console import Console
from rich.text import Text

from sdtps_ref.command_line.messages import complain
from sdtps_ref.command_line.run import if_interrupted
from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.engine.budget import Budget
from sdtps_ref.properties.engine.certify import certificate_of
from sdtps_ref.properties.engine.deciding import Deciding
from sdtps_ref.properties.engine.environment import environment
from sdtps_ref.properties.engine.isolation.child import SubprocessRunner
from sdtps_ref.properties.engine.isolation.launch import Launched
from sdtps_ref.properties.engine.isolation.subject import Named
from sdtps_ref.properties.engine.journal import Journal, JournalError, usual_path
from sdtps_ref.properties.engine.loaded_files import LoadedFiles
from sdtps_ref.properties.engine.runner import InProcessRunner, Runner
from sdtps_ref.properties.engine.settings import Limits, RunSettings
from sdtps_ref.properties.reports.console import law_line
from sdtps_ref.properties.targets import target as targets
from sdtps_ref.visible import visible


def certified(
    options: SimpleNamespace, settings: RunSettings, limits: Limits, launched: Sequence[Launched], console: Console
) -> Certificate:
    """The certificate of `options.target`; a line a law is printed as it comes. Raises SDTPSError.

    launched: the processes to try it in; none to try it in this one.
    """
    budget = Budget(settings.profile.whole if launched and options.time_limit is None and not settings.laws else None)
    with _runners(settings, limits, launched, budget) as runners:
        for line in () if options.quiet else runners[0].about.told:
            console.print(Text(visible(line), style="dim"), soft_wrap=True)
        header = {
            "implementation": runners[0].about.description,
            "environment": environment(settings, runners[0].isolation),
        }
        journal = Journal(options.journal or usual_path(settings), header, Path(runners[0].about.base))
        so_far = journal.results() if options.resume else {}
        kept = options.resume or _begun(journal, options, console)

        def announce(result: LawResult) -> None:
            nonlocal kept
            if kept:
                read = [runner.about.description["files"] for runner in runners]
                try:
                    journal.add(result, {name: known for files in read for name, known in files.items()})
                except JournalError as error:  # a full disk costs no verdict
                    complain(f"{error}; what is judged from now on cannot be resumed")
                    kept = False
            if not options.quiet and (result.status != "skipped" or options.verbose):
                console.print(law_line(result), soft_wrap=True)

        if so_far:
            console.print(f"{len(so_far)} laws are judged already, in {visible(str(journal.path))}", style="dim")
        with if_interrupted("`--resume` goes on from here") if kept else contextlib.nullcontext():
            return certificate_of(runners, settings, so_far=so_far, budget=budget, announce=announce)


def _begun(journal: Journal, options: SimpleNamespace, console: Console) -> bool:
    try:
        journal.begin()
    except JournalError as error:
        if options.journal is not None:
            raise
        console.print(Text(f"{visible(str(error))}; this run cannot be resumed", style="dim"), soft_wrap=True)
        return False
    return True


@contextlib.contextmanager
def _runners(
    settings: RunSettings, limits: Limits, launched: Sequence[Launched], budget: Budget
) -> Iterator[list[Runner]]:
    assert settings.target is not None
    with contextlib.ExitStack() as closing:
        runners: list[Runner] = [
            closing.enter_context(
                contextlib.closing(SubprocessRunner(Named(settings.target), settings, limits, process, budget))
            )
            for process in launched
        ]
        if not runners:
            deciding, files = Deciding(), LoadedFiles()
            found = targets.resolve(settings.target)
            here = InProcessRunner(
                found.implementation, settings, "none, as asked", found.told, deciding=deciding, files=files
            )
            runners.append(here)
        yield runners
