"""`sdtps certify`: hold an implementation to the laws."""

import argparse
import traceback
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.engine.isolation.launch import Launched
from sdtps_ref.properties.engine.settings import EXAMPLES, PROFILES, Limits, RunSettings, usual_memory
from sdtps_ref.properties.reports.formats import add_format_options, asked_for, write_reports
from sdtps_ref.properties.targets.loading import ACCEPTED, REFERENCE

HELP_DATABASE = (
    "failing cases that are shared: a directory, redis://host:port/db, or none; may be repeated "
    f"(default: none; with deep, {EXAMPLES})"
)
HELP_TARGET = f"{ACCEPTED} (default: the reference)"


def certify(arguments: list[str]) -> int:
    """Hold an implementation to the laws. Exit 0 certified, 1 refused, 2 could not run."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.jobs > 1 and options.in_process:
        parser.error("given --jobs with --in-process; accepted: one of them")
    console = Console(highlight=False, markup=False)
    scripted = ".py" not in options.target
    launched = [] if options.in_process else [Launched(scripted) for _ in range(options.jobs)]
    try:
        files = asked_for(options)
        # Only now, while the children import torch too.
        from sdtps_ref.properties.cli.certify_run import certified
        from sdtps_ref.properties.reports.console import print_summary

        certificate = certified(options, *_settings(options), launched, console)
    except SDTPSError as error:
        console.print(Text(f"sdtps certify: {error}", style="bold red"), soft_wrap=True)
        if options.verbose:
            told = getattr(error, "traceback", "") or "".join(traceback.format_exception(error))
            console.print(Text(told), soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        console.print("interrupted; `--resume` goes on from here", style="bold red")
        return 130
    finally:
        for process in launched:
            process.close()
    print_summary(console, certificate, verbose=options.verbose)
    problems = write_reports(certificate, files)
    for problem in problems:
        console.print(Text(f"sdtps certify: {problem}", style="bold red"), soft_wrap=True)
    if options.write_expected is not None:
        from sdtps_ref.properties.certificates.expected_writing import write_expected

        count = write_expected(options.write_expected, certificate)
        said = f"wrote {options.write_expected}: fill in why each may fail ({count})" if count else "nothing to expect"
        console.print(said, soft_wrap=True)
    return 2 if problems else certificate.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sdtps certify", description=certify.__doc__)
    parser.add_argument("target", nargs="?", default=REFERENCE, metavar="TARGET", help=HELP_TARGET)
    what = parser.add_argument_group("what is judged")
    what.add_argument("--profile", choices=PROFILES, default="quick", help="how hard to look (default: quick)")
    what.add_argument("--seed", type=int, help="of the drawn cases (default: 0; with deep, a new one each time)")
    what.add_argument("--law", action="append", metavar="ID", help="this law or stage only, with what it rests on")
    what.add_argument("--shard", type=_shard, metavar="I/N", help="every N-th law from the I-th on; merge joins them")
    what.add_argument("--device", default="cpu", help="where the laws run (default: cpu)")
    what.add_argument("--expected", type=Path, metavar="FILE", help="TOML file of laws that are known to fail")
    what.add_argument("--database", action="append", metavar="WHERE", help=HELP_DATABASE)
    how = parser.add_argument_group("in which process")
    how.add_argument("--jobs", type=_jobs, default=1, metavar="N", help="laws that are tried at once (default: 1)")
    how.add_argument("--time-limit", type=float, metavar="S", help="seconds a law (default: the profile's)")
    how.add_argument("--memory-limit", type=float, metavar="GIB", help="of a child (default: 4 on the CPU)")
    how.add_argument("--in-process", action="store_true", help="no child process and no limits: for a debugger")
    kept = parser.add_argument_group("what is kept")
    add_format_options(kept)
    kept.add_argument("--journal", type=Path, metavar="FILE", help="results as they come (default: in .sdtps)")
    kept.add_argument("--resume", action="store_true", help="go on from the journal of an interrupted run")
    kept.add_argument("--write-expected", type=Path, metavar="FILE", help="a file for --expected, of what fails now")
    parser.add_argument("--verbose", action="store_true", help="show tracebacks")
    return parser


def _settings(options: argparse.Namespace) -> tuple[RunSettings, Limits]:
    """What was asked for. Raises SDTPSError before any work is begun that would be lost."""
    # With torch, so not before the children are on their way.
    from sdtps_ref.properties.certificates.expected_writing import check_new
    from sdtps_ref.properties.engine.journal import seed_of, usual_path
    from sdtps_ref.properties.engine.make_settings import make_settings

    if options.write_expected is not None:
        check_new(options.write_expected)
    profile = PROFILES[options.profile]
    named = None if options.law is None else tuple(options.law)
    seed = options.seed
    if seed is None and options.resume:  # the run that is resumed may have drawn its own
        seed = seed_of(options.journal or usual_path(RunSettings(profile, target=options.target, shard=options.shard)))
    settings = make_settings(
        profile,
        seed,
        options.device,
        target=options.target,
        laws=named,
        shard=options.shard,
        expected_failures=options.expected,
        database=options.database,
    )
    seconds = profile.seconds if options.time_limit is None else options.time_limit
    memory = usual_memory(options.device) if options.memory_limit is None else options.memory_limit
    return settings, Limits(seconds, memory)


def _jobs(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"given {text!r}; accepted: 1 or more")
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    first, _, every = text.partition("/")
    if not (first.isdigit() and every.isdigit() and 1 <= int(first) <= int(every)):
        raise argparse.ArgumentTypeError(f"given {text!r}; accepted: I/N with I from 1 to N, such as 1/3")
    return int(first), int(every)
