"""README's table of environments, made of their certificates; `.ci/matrix` calls it.

python -m sdtps_ref.properties.maintenance.compatibility README.md CERT...
"""

import argparse
import sys
from pathlib import Path

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.certificates.reading import read_certificate
from sdtps_ref.properties.certificates.shards import join_shards
from sdtps_ref.properties.maintenance import generated_block
from sdtps_ref.properties.reports.comparison import compare
from sdtps_ref.properties.reports.comparison_report import comparison_markdown

BEGIN = "<!-- compatibility: written by `.ci/matrix` -->"
END = "<!-- end of the compatibility table -->"


def main(arguments: list[str]) -> int:
    """Renew the compatibility table in a file. Exit status of the worst verdict; 2 where it could not be written."""
    parser = argparse.ArgumentParser(prog="compatibility", description=main.__doc__)
    parser.add_argument("readme", type=Path, metavar="FILE")
    parser.add_argument("certificates", type=Path, nargs="+", metavar="CERT")
    options = parser.parse_args(arguments)
    try:
        comparison = compare(join_shards(read_certificate(path) for path in options.certificates))
        generated_block.write_into(options.readme, BEGIN, END, comparison_markdown(comparison).rstrip())
    except (OSError, SDTPSError) as error:
        print(f"compatibility: {error}", file=sys.stderr)
        return 2
    return comparison.exit_status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
