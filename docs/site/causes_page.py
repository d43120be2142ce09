"""The causes as a page: what each one says, and whether it was told first where it was planted."""

import sys
from pathlib import Path

from sdtps_ref.properties.engine.causes.hypotheses import ALL
from sdtps_ref.properties.selftest.causes import by_kind, confusions, share_right

# The record's reader serves this repository alone, and is not in the wheel that these pages are made from.
sys.path.append(str(Path(__file__).resolve().parents[2]))
from properties.maintenance import causes_record

RECORD = Path(__file__).with_name("causes.json")
BEFORE = """\
# The cause first

A law that fails is a reading; what a person wants to know is what is wrong. So after the laws, where something
failed, a short look is taken at the implementation itself: the Jacobian of D, at which temperature and of which
samples; which tokens are kept, when scores tie, crowd or change their sign; the weights behind the pooled tokens; the
noise; what a second call finds changed. Hypotheses are held against what was read, and the fewest that account for
what failed are told, the one that does most harm to training first. Where none fits, the failure stands for itself.

What is measured here is whether the cause told first is the one that was planted. What explains does not know which
fault it looks at. It was written with these faults in sight, though, and of faults that nobody has seen it is right
less often; then it should say less, and not something else.

The first cause was the planted one in **{share:.1%}** of {count} planted faults.

## By kind

| planted | faults | told first | taken for |
|---|---|---|---|
"""


def causes_page() -> str:
    """Markdown."""
    told = causes_record.read(RECORD)
    wrong = confusions(told)
    lines = []
    for kind, (count, right) in by_kind(told).items():
        taken = ", ".join(
            f"`{first}` ({', '.join(names)})" for (planted, first), names in wrong.items() if planted == kind
        )
        lines.append(f"| `{kind}` | {count} | {right} | {taken} |")
    lines += ["", "## What can be said", "", "| cause | in words | mends it |", "|---|---|---|"]
    lines += [f"| `{each.kind}` | {_cell(each.sentence)} | {_cell(each.fix)} |" for each in ALL]
    return BEFORE.format(share=share_right(told), count=len(told)) + "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("{", "").replace("}", "")
