"""The strangers, planted: each is judged by one call of its own module, as `sdtps certify FILE.py` does it."""

from importlib import import_module
from typing import Any

from sdtps_ref.properties.selftest import strangers
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, VARIANTS
from sdtps_ref.properties.selftest.strangers import Stranger
from sdtps_ref.properties.targets.from_call import from_file


class ByCall:
    """An implementation that is known by one call. name: of its file among the strangers."""

    name = ""
    eager_only = True  # the module is the user's: nothing of it is compiled here

    def __init__(self) -> None:
        self._found: Any = None

    def call(self) -> Any:
        """The watched passes of the module's call."""
        if self._found is None:
            self._found = from_file(import_module(f"{strangers.__name__}.{self.name}"), self.name)
        return self._found.call()


def _planted(stranger: Stranger) -> type[ByCall]:
    law = None if stranger.law is None else f"call.{stranger.law}"
    return type(stranger.name, (ByCall,), {"name": stranger.name, "expected_law": law, "__doc__": stranger.what})


FAULTS.update({each.name: _planted(each) for each in strangers.WRONG})  # type: ignore[misc]
VARIANTS.update({each.name: _planted(each) for each in strangers.RIGHT})  # type: ignore[misc]
