"""The SDTPS reference, and the front door of the suite that holds implementations to it.

Kept free of torch, so that `sdtps --help` and the numpy oracle start at once: the reference's own
names are imported when first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_SOURCES = {
    "InvalidInput": "errors",
    "MultiModalSDTPS": "multimodal",
    "ScorePredictor": "scoring",
    "SDTPSError": "errors",
    "TokenAggregation": "aggregation",
    "TokenSparse": "selection",
    "TwoBranchSDTPS": "branches",
    "published_weights": "conversion",
    "trace": "properties.tracing.api",
}

__all__ = [
    "InvalidInput",
    "MultiModalSDTPS",
    "SDTPSError",
    "ScorePredictor",
    "TokenAggregation",
    "TokenSparse",
    "TwoBranchSDTPS",
    "published_weights",
    "trace",
]

if TYPE_CHECKING:
    from sdtps_ref.aggregation import TokenAggregation
    from sdtps_ref.branches import TwoBranchSDTPS
    from sdtps_ref.conversion import published_weights
    from sdtps_ref.errors import InvalidInput, SDTPSError
    from sdtps_ref.multimodal import MultiModalSDTPS
    from sdtps_ref.properties.tracing.api import trace
    from sdtps_ref.scoring import ScorePredictor
    from sdtps_ref.selection import TokenSparse


def __getattr__(name: str) -> object:
    if name not in _SOURCES:
        raise AttributeError(f"module 'sdtps_ref' has no attribute {name!r}; it exports {', '.join(__all__)}")
    return getattr(import_module(f"sdtps_ref.{_SOURCES[name]}"), name)
