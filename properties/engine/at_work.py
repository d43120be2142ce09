"""Which of the contract's methods are written: one that says of itself that it is not counts as missing."""

from collections.abc import Iterable
from typing import Any

SIZES = {"dim": 8, "num_tokens": 6, "keep": 3, "slots": 2, "tau": 1.0}
TAKEN = {"selector": ("dim", "num_tokens", "keep", "tau"), "aggregator": ("dim", "slots")}
MODALITIES = ("first", "second", "third")


def unwritten(implementation: Any, methods: Iterable[str]) -> dict[str, str]:
    """By method, in what words its factory says that there is nothing yet: it raises NotImplementedError.

    Whatever else a factory raises is for the laws to judge.
    """
    said: dict[str, str] = {}
    for method in methods:
        arguments: dict[str, Any] = {name: SIZES[name] for name in TAKEN.get(method, tuple(SIZES))}
        if method == "multimodal":
            arguments["modalities"] = MODALITIES
        try:
            getattr(implementation, method)(**arguments)
        except NotImplementedError as error:
            said[method] = f"{method} raises NotImplementedError" + (f" ({error})" if str(error) else "")
        except (Exception, SystemExit):
            continue
    return said
