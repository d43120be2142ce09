"""Figures and pages: matplotlib without a screen, SVG that is the same on every run, one HTML file with no links."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from sdtps_ref.benchmarks.optional import optional

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's: told apart by people who see few colours, and in print.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #ddd; }
.small { color: #666; font-size: .85rem; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
{% for line in lines %}<p>{{ line }}</p>
{% endfor %}{% for figure in figures %}<figure>{{ figure | safe }}</figure>
{% endfor %}{% if rows %}<table>
<thead><tr>{% for name in columns %}<th>{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody>
</table>
{% endif %}{% for line in small %}<p class="small">{{ line }}</p>
{% endfor %}</body>
</html>
"""


@dataclass(frozen=True)
class Page:
    """What is on a page, from top to bottom; everything but the figures is text and is escaped."""

    title: str
    lines: Sequence[str]
    figures: Sequence["Figure"]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    small: Sequence[str] = ()


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, width and height in inches. No window system is asked for."""
    return optional("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")


def svg(figure: "Figure") -> str:
    """The figure as SVG; the same figure gives the same text."""
    written = StringIO()
    with optional("matplotlib").rc_context({"svg.hashsalt": "sdtps"}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()


def inline(figure: "Figure") -> str:
    """The figure as SVG that can stand inside HTML: without the XML declaration."""
    text = svg(figure)
    return text[text.index("<svg") :]


def html(page: Page) -> str:
    """The page as one file that needs no other."""
    template = optional("jinja2").Environment(autoescape=True).from_string(PAGE)
    return template.render(vars(page) | {"figures": [inline(figure) for figure in page.figures]})
