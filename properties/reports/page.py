"""The base of every page this project writes: one file that loads nothing, light or dark as its reader has it.

A page is a jinja2 template that begins with `{% extends "page.html" %}` and fills the blocks `title` and
`body` (and `css`, for styles of its own). It lies in its room's folder, as package data:

    render("sdtps_ref.benchmarks.bench", "bench.html", what="to show", plot=inlined(figure, "what it shows"))

Every value is escaped but what `figures.inlined` returns. The page's content security policy allows no script
and no address but its own data, so that what slipped through would neither run nor load.
"""

from importlib import resources
from typing import Any

from sdtps_ref.optional_libraries import require

HERE = "sdtps_ref.properties.reports"


def render(package: str, template: str, **values: Any) -> str:
    """The page that a template of `package` makes of the values. Raises MissingLibrary without jinja2.

    A name that the template asks for and was not given is an error (jinja2.UndefinedError), not a blank.
    """
    jinja2 = require("jinja2", "an HTML page")

    def source(name: str) -> str | None:
        for place in (package, HERE):
            found = resources.files(place).joinpath(name)
            if found.is_file():
                return found.read_text(encoding="utf-8")
        return None

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = require("markupsafe", "an HTML page").Markup(source("page.css"))  # our own; its quotes are meant
    return environment.get_template(template).render(css=css, **values)
