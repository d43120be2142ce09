"""The commands of this room, each imported when it is called: most of them import torch."""

from importlib import import_module
from typing import Any

_SOURCES = {
    "certify": "certify",
    "explain": "laws",
    "init": "init",
    "laws": "laws",
    "merge": "stored",
    "replay": "stored",
    "report": "report",
    "schema": "report",
    "selftest": "selftest",
    "verify": "stored",
}


def __getattr__(name: str) -> Any:
    if name not in _SOURCES:
        raise AttributeError(f"no command {name!r}; there are {', '.join(_SOURCES)}")
    return getattr(import_module(f"sdtps_ref.properties.cli.{_SOURCES[name]}"), name)
