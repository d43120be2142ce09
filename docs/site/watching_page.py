"""The kill matrix as a page: each law beside what is planted for it, and what no law may refuse."""

import inspect

from prose import first_line

from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.selftest import selftest
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, VARIANTS

BEFORE = """\
# Who watches the laws

A law that refuses nothing is worth nothing, and one that refuses what is right does harm. So every law has planted
faults that it must kill, and there are right implementations, written in other ways, that no law may refuse.
`sdtps selftest` holds every law to both; `sdtps selftest --seeds 50` counts false alarms; `tox -e mutation` changes the
reference itself, one operator at a time, and counts how many of the mutants golden vectors and laws kill. Its survivors
are explained one by one in `.ci/mutation/survivors.md`.

The last count of false alarms, in profile quick: 29 right implementations under 50 seeds, none of the 1450 runs
refused, so at most 0.21 % with 95 % confidence. (The count before it had found one: a case that float16 cannot hold,
since mended.) Of the mutants of the reference that the contract can reach, golden vectors and laws kill 98.2 %.

## What must be killed

{faults} planted faults for {laws} laws. What each of them does stands with [its law](laws/index.md).

| law | must kill |
|---|---|
"""


def watching_page() -> str:
    """Markdown. That each fault is killed by its law is what the selftest and the tests prove."""
    lines = []
    for law_id in sorted(all_laws()):
        killed = sorted(name for name, planted in FAULTS.items() if planted.expected_law == law_id)
        link = f"[`{law_id}`](laws/{law_id.partition('.')[0]}.md#{law_id})"
        lines.append(f"| {link} | {', '.join(killed)} |")
    lines += ["", "## What must be certified", "", f"{len(selftest.right_names())} right implementations.", ""]
    lines += [f"- `{name}`: {_right(name)}" for name in selftest.right_names()]
    return BEFORE.format(faults=len(FAULTS), laws=len(all_laws())) + "\n".join([*lines, ""])


def _right(name: str) -> str:
    made = VARIANTS.get(name) or selftest.REFERENCES.get(name) or selftest.Plain
    return first_line(made if inspect.isclass(made) else selftest.Reference)
