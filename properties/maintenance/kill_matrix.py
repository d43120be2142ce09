"""The kill matrix as README shows it: each law beside the planted faults that it must kill."""

from pathlib import Path

from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.reports import generated_block
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, plant_all
from sdtps_ref.properties.selftest.selftest import right_names

BEGIN = "<!-- kill matrix: written by `sdtps selftest --readme README.md` -->"
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


def write_into(path: Path) -> None:
    """Renew the matrix in the file at `path`."""
    generated_block.write_into(path, BEGIN, END, markdown())
