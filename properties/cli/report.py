"""The commands that write reports from a stored certificate, and its schema."""

import sys
from pathlib import Path
from typing import Any

from sdtps_ref.command_line.command import argument, command
from sdtps_ref.command_line.messages import complain, results_console
from sdtps_ref.command_line.types import FILE
from sdtps_ref.properties.certificates import schema as schemas
from sdtps_ref.properties.certificates.reading import read_certificate
from sdtps_ref.properties.certificates.visible import with_all_visible
from sdtps_ref.properties.reports.console import print_summary
from sdtps_ref.properties.reports.formats import asked_for, format_options, write_reports


@command()
@argument("certificate", type=FILE, metavar="CERT", description="what `sdtps certify --json` wrote")
@format_options(but=("json",))
def report(certificate: Path, **options: Any) -> int:
    """Write reports from a stored certificate; print what it says where none is asked for. Exit 0, or 2 if it cannot
    be read or written."""
    files = asked_for(options)
    stored = read_certificate(certificate)
    problems = write_reports(stored, files)
    for problem in problems:
        complain(problem)
    if not files:
        print_summary(results_console(), with_all_visible(stored))
    return 2 if problems else 0


@command()
def schema() -> int:
    """Print the JSON schema (draft 2020-12) of what `sdtps certify --json` writes."""
    sys.stdout.write(schemas.text())
    return 0
