"""`sdtps laws` and `sdtps explain`: what is claimed, and why."""

import argparse

from rich.console import Console
from rich.text import Text

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.kit.law import all_laws, select_laws

SLOW = {"compile": "compiles", "distributed": "starts processes"}


def laws(arguments: list[str]) -> int:
    """List every law with its level and its claim."""
    argparse.ArgumentParser(prog="sdtps laws", description=laws.__doc__).parse_args(arguments)
    console = Console(highlight=False, markup=False)
    for law_id, law in all_laws().items():
        console.print(Text(f"{law_id:45} {law.level:6} {law.claim}"), soft_wrap=True)
    return 0


def explain(arguments: list[str]) -> int:
    """Print a law's formula, why it matters, what usually breaks it, and the remedy."""
    parser = argparse.ArgumentParser(prog="sdtps explain", description=explain.__doc__)
    parser.add_argument("id", metavar="ID", help="a law's id or a stage")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, markup=False)
    try:
        chosen = [law for law_id, law in select_laws([options.id]).items() if law_id.startswith(options.id)]
    except SDTPSError as error:
        console.print(Text(f"sdtps explain: {error}", style="bold red"), soft_wrap=True)
        return 2
    for law in chosen:
        needs = ", ".join(law.needs).replace("|", " or ")
        rests = f"; rests on {', '.join(law.depends)}" if law.depends else ""
        slow = f"; {SLOW[law.budget]}, so left out of profile quick" if law.budget in SLOW else ""
        console.print(Text(law.id, style="bold") + Text(f"  ({law.level}; needs {needs}{rests}{slow})\n"))
        for heading, body in law.sections.items():
            text = " ".join(body.split())
            console.print(Text(f"{heading}: ", style="bold") + Text(f"{text}\n"))
    return 0
