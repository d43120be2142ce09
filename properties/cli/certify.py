"""`sdtps certify`: hold an implementation to the laws."""

import sys
from types import SimpleNamespace
from typing import Any

import click

from sdtps_ref.command_line.command import argument, command, option
from sdtps_ref.command_line.messages import complain, results_console
from sdtps_ref.command_line.types import FILE, Choice, Parsed, above, whole
from sdtps_ref.properties.engine.isolation.launch import Launched
from sdtps_ref.properties.engine.settings import EXAMPLES, PROFILES, Limits, RunSettings, usual_memory
from sdtps_ref.properties.kit.roots import put_root_on_path
from sdtps_ref.properties.reports.formats import asked_for, format_options, write_reports
from sdtps_ref.properties.targets.loading import ACCEPTED, PUBLISHED, REFERENCE

HELP_DATABASE = (
    "failing cases that are shared: a directory, redis://host:port/db, or none; may be repeated "
    f"(default: none; with deep, {EXAMPLES})"
)
HELP_TARGET = f"{ACCEPTED} (default: the reference)"
JUDGED, PROCESS, KEPT = "What is judged", "In which process", "What is kept"


def _shard(text: str) -> tuple[int, int]:
    first, _, every = text.partition("/")
    if not (first.isdigit() and every.isdigit() and 1 <= int(first) <= int(every)):
        raise ValueError
    return int(first), int(every)


SHARD = Parsed("shard", _shard, "I/N with I from 1 to N, such as 1/3")
SECONDS = above(0, "seconds, above 0")


@command()
@argument("target", required=False, default=None, metavar="TARGET", description=HELP_TARGET)
@option("--profile", type=Choice(PROFILES), default="quick", heading=JUDGED, help="how hard to look (default: quick)")
@option(
    "--seed",
    type=whole(),
    metavar="N",
    heading=JUDGED,
    help="of the drawn cases (default: 0; with deep, a new one each time)",
)
@option("--law", multiple=True, metavar="ID", heading=JUDGED, help="this law or stage only, with what it rests on")
@option("--shard", type=SHARD, metavar="I/N", heading=JUDGED, help="every N-th law from the I-th on; merge joins them")
@option("--device", default="cpu", metavar="DEVICE", heading=JUDGED, help="where the laws run (default: cpu)")
@option("--expected", type=FILE, metavar="FILE", heading=JUDGED, help="TOML file of laws that are known to fail")
@option("--database", multiple=True, metavar="WHERE", heading=JUDGED, help=HELP_DATABASE)
@option("--jobs", type=whole(1), default=1, metavar="N", heading=PROCESS, help="laws tried at once (default: 1)")
@option("--time-limit", type=SECONDS, metavar="S", heading=PROCESS, help="seconds a law (default: the profile's)")
@option(
    "--memory-limit",
    type=above(0, "GiB, above 0"),
    metavar="GIB",
    heading=PROCESS,
    help="of a child (default: 4 on the CPU)",
)
@option("--in-process", is_flag=True, heading=PROCESS, help="no child process and no limits: for a debugger")
@format_options(heading=KEPT)
@option("--journal", type=FILE, metavar="FILE", heading=KEPT, help="results as they come (default: in .sdtps)")
@option("--resume", is_flag=True, heading=KEPT, help="go on from the journal of an interrupted run")
@option("--write-expected", type=FILE, metavar="FILE", heading=KEPT, help="a file for --expected, of what fails now")
@option("--root", metavar="DIR", heading=JUDGED, help="where a file's imports start (default: found above the file)")
@option("--require", type=Choice(["training"]), heading=JUDGED, help="exit 1 too where it will not train well")
@option("--format", type=Choice(["github"]), heading=KEPT, help="annotate a pull request from a job's log")
@option("--quiet", is_flag=True, help="the verdict in one line")
@option("--verbose", is_flag=True, help="each failure with its case, script and traceback")
def certify(**given: Any) -> int:
    """Hold an implementation to the laws. Exit 0 certified, 1 refused, 2 could not run.

    It guards against mistakes and against code that meddles, not against an enemy: the implementation is run, with your
    rights. See the page "What a certificate is worth".
    """
    if given["format"] is None:
        return _certified(given)[1]
    # Only now, with the libraries that certificates need.
    from sdtps_ref.properties.reports.github import commands_stopped, github

    with commands_stopped():
        certificate, status = _certified(given)
    sys.stdout.write(github(certificate))
    return status


def _certified(given: dict[str, Any]) -> tuple[Any, int]:
    """The certificate, printed and written, and the exit status."""
    options = SimpleNamespace(**given)
    beside = options.target is None and not options.law and options.shard is None
    options.target = options.target or REFERENCE
    if options.jobs > 1 and options.in_process:
        raise click.UsageError("given --jobs with --in-process; accepted: one of them")
    console = results_console()
    if options.root is not None:
        put_root_on_path(options.root)
    scripted = ".py" not in options.target
    with_published = None
    launched = [] if options.in_process else [Launched(scripted) for _ in range(options.jobs)]
    try:
        files = asked_for(given)
        # Only now, while the children import torch too.
        from sdtps_ref.properties.cli.certify_run import certified
        from sdtps_ref.properties.cli.scripts import write_scripts
        from sdtps_ref.properties.reports.console import print_summary, quiet_line

        certificate = certified(options, *_settings(options), launched, console)
        if beside and not options.quiet:  # the published mask's answer is told with that of the one that trains
            with_published = _of_published(options)
    finally:
        for process in launched:
            process.close()
    problems = write_reports(certificate, files)
    if options.quiet:
        console.print(quiet_line(certificate), soft_wrap=True)
    else:
        written = [str(path) for path in files.values()] + write_scripts(certificate)
        print_summary(console, certificate, verbose=options.verbose, written=written)
        if with_published is not None:
            console.print()
            console.print("beside it, the mask as it was published, logits - (1 - D) * 1e10:", style="dim")
            console.print(quiet_line(with_published), soft_wrap=True)
    for problem in problems:
        complain(problem)
    if options.write_expected is not None:
        from sdtps_ref.properties.certificates.expected_writing import write_expected

        count = write_expected(options.write_expected, certificate)
        said = f"wrote {options.write_expected}: fill in why each may fail ({count})" if count else "nothing to expect"
        console.print(said, soft_wrap=True)
    status = certificate.exit_status
    if options.require == "training" and certificate.training and status == 0:
        status = 1
    return certificate, 2 if problems else status


def _of_published(options: SimpleNamespace) -> Any:
    """The certificate of the reference with the published mask, on the same terms."""
    from sdtps_ref.properties.engine.certify import check_implementation
    from sdtps_ref.properties.reference import published

    terms = {"profile": options.profile, "seed": options.seed, "device": options.device}
    return check_implementation(published(), target=PUBLISHED, isolated=False, reproduce=False, **terms)


def _settings(options: SimpleNamespace) -> tuple[RunSettings, Limits]:
    """What was asked for. Raises SDTPSError before any work is begun that would be lost."""
    # With torch, so not before the children are on their way.
    from sdtps_ref.properties.certificates.expected_writing import check_new
    from sdtps_ref.properties.engine.journal import seed_of, usual_path
    from sdtps_ref.properties.engine.make_settings import make_settings

    if options.write_expected is not None:
        check_new(options.write_expected)
    profile = PROFILES[options.profile]
    named = options.law or None
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
        database=list(options.database) or None,
    )
    seconds = profile.seconds if options.time_limit is None else options.time_limit
    memory = usual_memory(options.device) if options.memory_limit is None else options.memory_limit
    loading = profile.seconds * (2 if profile.whole else 1) if options.time_limit is None else None
    return settings, Limits(seconds, memory, loading)
