"""The contract as it is written, and the names that Python code imports, by mkdocstrings."""

import inspect

from prose import first_line, prose

import sdtps_ref
from sdtps_ref import properties
from sdtps_ref.properties import contract

# What the entry points take and return, where they are not entry points themselves.
BESIDES = (
    "certificates.certificate.Certificate",
    "certificates.certificate.LawResult",
    "certificates.certificate.Failure",
    "kit.case.Case",
    "engine.settings.Profile",
    "engine.settings.Limits",
)


def contract_page() -> str:
    """The contract's own source: its comments are part of it."""
    lines = [
        "---",
        "hide: [toc]  # its room goes to the code",
        "---",
        "# The contract",
        "",
        *(prose(part) + "\n" for part in (contract.__doc__ or "").split("\n\n")),
    ]
    for part in (contract.Implementation, contract.Selection):
        source = inspect.getsource(part).partition("    def __repr__")[0].rstrip()
        lines += [f"## {part.__name__}", "", first_line(part), "", f"```python\n{source}\n```", ""]
    return "\n".join(lines)


def python_page() -> str:
    """Directives: mkdocstrings takes signature and docstring from the code."""
    lines = ["# Python", "", "Laws are in `sdtps_ref.properties`, the reference in `sdtps_ref`.", ""]
    lines += ["## From `sdtps_ref.properties`", ""]
    entries = [_place(properties, name) for name in properties.__all__ if name != "Implementation"]
    lines += [f"::: {place}\n" for place in [*entries, *(f"sdtps_ref.properties.{place}" for place in BESIDES)]]
    lines += ["## From `sdtps_ref`", ""]
    lines += [f"::: {_place(sdtps_ref, name)}\n" for name in sdtps_ref.__all__]
    return "\n".join(lines)


def _place(room: object, name: str) -> str:
    return f"{getattr(room, name).__module__}.{name}"
