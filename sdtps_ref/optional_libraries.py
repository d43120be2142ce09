"""Libraries that only reports and benchmarks need: asked for by name, with one line where one is missing."""

from importlib import import_module
from types import ModuleType

from sdtps_ref.errors import SDTPSError


class MissingLibrary(SDTPSError):
    """A library of an extra is not installed; the message says how to get it."""


def require(library: str, what: str, *, offers: str = "", extra: str = "report") -> ModuleType:
    """The module of that name. what: what needs it, as its user asked for it (`--html`). Raises MissingLibrary.

    offers: a name that versions lack which are too old. extra: what of this project brings the library.
    """
    package = library.partition(".")[0]
    how = f"pip install 'sdtps-ref[{extra}]' brings it"
    try:
        module = import_module(library)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise MissingLibrary(f"{what} needs {package}, which is not installed: {how}") from error
    if offers and not hasattr(module, offers):
        raise MissingLibrary(f"{what} needs a newer {package} than is installed: {how}")
    return module
