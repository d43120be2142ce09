"""The commands of this room, each imported when it is called: most of them import torch."""

from importlib import import_module
from typing import Any

_SOURCES = {
    "certify": "command_certify",
    "explain": "command_laws",
    "init": "beginning",
    "laws": "command_laws",
    "merge": "stored.commands",
    "replay": "stored.commands",
    "report": "reports.commands",
    "schema": "reports.commands",
    "selftest": "command_selftest",
    "verify": "stored.commands",
}


def __getattr__(name: str) -> Any:
    if name not in _SOURCES:
        raise AttributeError(f"no command {name!r}; there are {', '.join(_SOURCES)}")
    return getattr(import_module(f"sdtps_ref.properties.{_SOURCES[name]}"), name)
