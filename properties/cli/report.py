"""The commands that write reports from a stored certificate, and its schema."""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.certificates import schema as schemas
from sdtps_ref.properties.certificates.reading import read_certificate
from sdtps_ref.properties.certificates.visible import with_all_visible
from sdtps_ref.properties.reports.console import print_summary
from sdtps_ref.properties.reports.formats import add_format_options, asked_for, write_reports


def report(arguments: list[str]) -> int:
    """Write reports from a stored certificate; print what it says where none is asked for. Exit 0, or 2 if it cannot
    be read or written."""
    parser = argparse.ArgumentParser(prog="sdtps report", description=report.__doc__)
    parser.add_argument("certificate", type=Path, metavar="CERT", help="what `sdtps certify --json` wrote")
    add_format_options(parser, but=("json",))
    options = parser.parse_args(arguments)
    console = Console(highlight=False, markup=False)
    try:
        files = asked_for(options)
        certificate = read_certificate(options.certificate)
        problems = write_reports(certificate, files)
    except SDTPSError as error:
        problems = [str(error)]
    else:
        if not files:
            print_summary(console, with_all_visible(certificate))
    for problem in problems:
        console.print(Text(f"sdtps report: {problem}", style="bold red"), soft_wrap=True)
    return 2 if problems else 0


def schema(arguments: list[str]) -> int:
    """Print the JSON schema (draft 2020-12) of what `sdtps certify --json` writes."""
    argparse.ArgumentParser(prog="sdtps schema", description=schema.__doc__).parse_args(arguments)
    sys.stdout.write(schemas.text())
    return 0
