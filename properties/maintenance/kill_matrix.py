"""The kill matrix as README shows it, each law beside the planted faults that it must kill.

A checkout renews it with `python -m sdtps_ref.properties.maintenance.kill_matrix README.md`.
"""

import sys
from pathlib import Path

from sdtps_ref.command_line.command import argument, command
from sdtps_ref.command_line.run import exit_status
from sdtps_ref.command_line.types import FILE
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.maintenance import generated_block
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, plant_all
from sdtps_ref.properties.selftest.selftest import right_names

BEGIN = "<!-- kill matrix: written by sdtps_ref.properties.maintenance.kill_matrix -->"
END = "<!-- end of the kill matrix -->"


def markdown() -> str:
    """A row a law. That each fault is killed by its law is what the selftest and the tests prove."""
    plant_all()
    rows = [f"{len(FAULTS)} planted faults, {len(all_laws())} laws, {len(right_names())} right implementations.", ""]
    rows += ["| law | level | must kill |", "|---|---|---|"]
    for law_id, law in sorted(all_laws().items()):
        faults = ", ".join(sorted(name for name, planted in FAULTS.items() if planted.expected_law == law_id))
        rows.append(f"| `{law_id}` | {law.level} | {faults} |")
    return "\n".join(rows)


def inserted(text: str) -> str:
    """`text` with the matrix between its markers. Raises InvalidInput where they are missing."""
    return generated_block.inserted(text, BEGIN, END, markdown())


@command(name="kill_matrix")
@argument("readme", type=FILE, metavar="FILE", description="where the matrix stands between its markers")
def kill_matrix(readme: Path) -> int:
    """Renew the kill matrix in a file. Exit 0, or 2 where it has no place for it."""
    generated_block.write_into(readme, BEGIN, END, markdown())
    return 0


def main(arguments: list[str]) -> int:
    """Run the command. Returns the exit status."""
    return exit_status(kill_matrix, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
