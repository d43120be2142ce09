"""Modules in shapes that people really write, half of them with one fault each; each is judged by one call."""

import sys
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Stranger:
    """A module of this folder, as catalogue.toml has it. law: what must refuse a wrong one; None if right."""

    name: str
    what: str
    law: str | None = None
    at: tuple[str, ...] = ()


def _read() -> tuple[Stranger, ...]:
    catalogue = tomllib.loads((Path(__file__).parent / "catalogue.toml").read_text(encoding="utf-8"))
    return tuple(
        Stranger(name, entry["what"], entry.get("law"), tuple(entry.get("at", ()))) for name, entry in catalogue.items()
    )


ALL = _read()
RIGHT = tuple(stranger for stranger in ALL if stranger.law is None)
WRONG = tuple(stranger for stranger in ALL if stranger.law is not None)
