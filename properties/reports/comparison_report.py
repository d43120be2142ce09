"""A comparison on the console and in Markdown."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sdtps_ref.properties.certificates.visible import visible
from sdtps_ref.properties.reports.comparison import Comparison
from sdtps_ref.properties.reports.console import STYLES
from sdtps_ref.properties.reports.markdown import SIGNS, code, table
from sdtps_ref.properties.reports.wording import verdict_words, word

UNBOUNDED = 10_000  # characters; no terminal is as wide


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Each environment with its verdict and a number, what became of each law by number, then the reasons."""
    console.print(Text(visible(comparison.certificates[0].implementation["name"]), style="bold"))
    for number, (column, certificate) in enumerate(zip(comparison.columns, comparison.certificates, strict=True), 1):
        colour = {"certified": "green", "refused": "bold red", "error": "bold red"}[certificate.verdict]
        line = Text(visible(f"{number:2}  {column}: ")) + Text(visible(verdict_words(certificate)), style=colour)
        console.print(line, soft_wrap=True)
    console.print()
    shown = _by_number(comparison)
    fits = console.measure(shown, options=console.options.update(max_width=UNBOUNDED)).maximum <= console.width
    console.print(shown if fits else _in_words(comparison), soft_wrap=not fits)
    console.print()
    for law_id in comparison.laws:
        for reason, where in comparison.reasons(law_id):
            told = Text(law_id, style="bold") + Text(f" ({where}) ", style="dim") + Text(visible(reason))
            console.print(told, soft_wrap=True)


def _by_number(comparison: Comparison) -> Table:
    shown = Table("law", *map(str, range(1, len(comparison.columns) + 1)), box=None, pad_edge=False)
    for law_id in comparison.laws:
        cells = [
            Text(word(result), style="yellow" if result.warns else STYLES[result.status]) if result else Text("-")
            for result in comparison.row(law_id)
        ]
        shown.add_row(Text(law_id, style="bold" if comparison.differs(law_id) else ""), *cells)
    return shown


def _in_words(comparison: Comparison) -> Table:
    """For more environments than a line holds."""
    shown = Table("law", "in", box=None, pad_edge=False)
    for law_id in comparison.laws:
        outcomes = "; ".join(f"{outcome} {where}" for outcome, where in comparison.outcomes(law_id))
        shown.add_row(Text(law_id, style="bold" if comparison.differs(law_id) else ""), outcomes)
    return shown


def comparison_markdown(comparison: Comparison) -> str:
    """The same for a pull request: laws that all passed everywhere are counted, the others are in the table."""
    worst = max(comparison.certificates, key=lambda certificate: certificate.exit_status)
    numbers = [str(number) for number in range(1, len(comparison.columns) + 1)]
    environments = [
        (number, code(visible(column)), code(visible(verdict_words(certificate))))
        for number, column, certificate in zip(numbers, comparison.columns, comparison.certificates, strict=True)
    ]
    told = [law_id for law_id in comparison.laws if comparison.reasons(law_id) or comparison.differs(law_id)]
    rows = [(f"`{law_id}`", *(word(r) if r else "-" for r in comparison.row(law_id))) for law_id in told]
    reasons = [
        (f"`{law_id}`", where, code(visible(reason))) for law_id in told for reason, where in comparison.reasons(law_id)
    ]
    name = code(visible(comparison.certificates[0].implementation["name"]))
    blocks = [
        f"### {SIGNS[worst.verdict]} sdtps: {name} in {len(numbers)} environments",
        table(("", "environment", "verdict"), environments),
        f"{len(comparison.laws) - len(told)} of {len(comparison.laws)} laws passed in all of them.",
    ]
    if rows:
        blocks.append(table(("law", *numbers), rows))
        folded = table(("law", "where", "why"), reasons)
        blocks.append(f"<details><summary>reasons</summary>\n\n{folded}\n\n</details>")
    return "\n\n".join(blocks) + "\n"
