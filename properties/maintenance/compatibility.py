"""The table of environments in docs/compatibility.md, made of their certificates; `.ci/matrix` calls it.

python -m sdtps_ref.properties.maintenance.compatibility docs/compatibility.md CERT...
"""

import sys
from pathlib import Path

from sdtps_ref.command_line.command import argument, command
from sdtps_ref.command_line.run import exit_status
from sdtps_ref.command_line.types import FILE
from sdtps_ref.properties.certificates.reading import read_certificate
from sdtps_ref.properties.certificates.shards import join_shards
from sdtps_ref.properties.maintenance import generated_block
from sdtps_ref.properties.reports.comparison import compare
from sdtps_ref.properties.reports.comparison_report import comparison_markdown

BEGIN = "<!-- compatibility: written by `.ci/matrix` -->"
END = "<!-- end of the compatibility table -->"


@command(name="compatibility")
@argument("readme", type=FILE, metavar="FILE", description="where the table stands between its markers")
@argument(
    "certificates", type=FILE, nargs=-1, required=True, metavar="CERT", description="one an environment, or shards"
)
def compatibility(readme: Path, certificates: tuple[Path, ...]) -> int:
    """Renew the compatibility table in a file. Exit status of the worst verdict; 2 where it could not be written."""
    comparison = compare(join_shards(read_certificate(path) for path in certificates))
    generated_block.write_into(readme, BEGIN, END, comparison_markdown(comparison).rstrip())
    return comparison.exit_status


def main(arguments: list[str]) -> int:
    """Run the command. Returns the exit status."""
    return exit_status(compatibility, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
