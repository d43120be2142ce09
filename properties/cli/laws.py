"""`sdtps laws` and `sdtps explain`: what is claimed, and why."""

from rich.text import Text

from sdtps_ref.command_line.command import argument, command
from sdtps_ref.command_line.messages import results_console
from sdtps_ref.properties.kit.law import all_laws, select_laws

SLOW = {"compile": "compiles", "distributed": "starts processes"}


@command()
def laws() -> int:
    """List every law with its level and its claim."""
    console = results_console()
    for law_id, law in all_laws().items():
        console.print(Text(f"{law_id:45} {law.level:6} {law.claim}"), soft_wrap=True)
    return 0


@command()
@argument("law_id", metavar="ID", description="a law's id or a stage")
def explain(law_id: str) -> int:
    """Print a law's formula, why it matters, what usually breaks it, and the remedy."""
    console = results_console()
    for law in [law for name, law in select_laws([law_id]).items() if name.startswith(law_id)]:
        needs = ", ".join(law.needs).replace("|", " or ")
        rests = f"; rests on {', '.join(law.depends)}" if law.depends else ""
        slow = f"; {SLOW[law.budget]}, so left out of profile quick" if law.budget in SLOW else ""
        console.print(Text(law.id, style="bold") + Text(f"  ({law.level}; needs {needs}{rests}{slow})\n"))
        for heading, body in law.sections.items():
            text = " ".join(body.split())
            console.print(Text(f"{heading}: ", style="bold") + Text(f"{text}\n"))
    return 0
