"""Libraries that only reports need: asked for by name, with one line where one is missing."""

from importlib import import_module
from types import ModuleType

from sdtps_ref.errors import SDTPSError


class MissingLibrary(SDTPSError):
    """A library of the extra `report` is not installed; the message says how to get it."""


def require(library: str, what: str, *, offers: str = "") -> ModuleType:
    """The module of that name. what: what needs it, as its user asked for it (`--html`). Raises MissingLibrary.

    offers: a name that versions lack which are too old.
    """
    package = library.partition(".")[0]
    how = "pip install 'sdtps-ref[report]' brings it"
    try:
        module = import_module(library)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise MissingLibrary(f"{what} needs {package}, which is not installed: {how}") from error
    if offers and not hasattr(module, offers):
        raise MissingLibrary(f"{what} needs a newer {package} than is installed: {how}")
    return module
