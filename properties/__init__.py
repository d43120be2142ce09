"""The laws of SDTPS, and the certifier that holds an implementation to them."""

from importlib import import_module
from typing import TYPE_CHECKING

# Imported when first asked for: the numpy oracle beside them must not bring torch along.
_SOURCES = {
    "ExpectedFailure": "certificates.expected",
    "Implementation": "contract",
    "Selection": "contract",
    "check_implementation": "engine.certify",
    "parametrize_with_laws": "pytest_plugin.parametrize",
}

__all__ = ["ExpectedFailure", "Implementation", "Selection", "check_implementation", "parametrize_with_laws"]

if TYPE_CHECKING:
    from sdtps_ref.properties.certificates.expected import ExpectedFailure
    from sdtps_ref.properties.contract import Implementation, Selection
    from sdtps_ref.properties.engine.certify import check_implementation
    from sdtps_ref.properties.pytest_plugin.parametrize import parametrize_with_laws


def __getattr__(name: str) -> object:
    if name not in _SOURCES:
        raise AttributeError(
            f"module 'sdtps_ref.properties' has no attribute {name!r}; it exports {', '.join(__all__)}"
        )
    return getattr(import_module(f"sdtps_ref.properties.{_SOURCES[name]}"), name)
