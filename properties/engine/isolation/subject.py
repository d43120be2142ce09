"""How an implementation gets into another process: by the name of its place, or as what pickle makes of it."""

import pickle
from dataclasses import dataclass
from typing import Any

from sdtps_ref.properties.targets import target as targets


@dataclass(frozen=True)
class Named:
    """It has a target, which the child loads; this process never imports it."""

    target: str

    def found(self) -> targets.Target:
        """Load it. Raises TargetError."""
        return targets.resolve(self.target)


@dataclass(frozen=True)
class Pickled:
    """It was handed over as an object. target: where it has a place besides, for the scripts."""

    content: bytes
    target: str | None = None

    def found(self) -> targets.Target:
        """Unpickle it."""
        return targets.Target(pickle.loads(self.content))


Subject = Named | Pickled


class CannotTravel(Exception):
    """The object exists in this process only; the message says why."""


def pickled(implementation: Any, target: str | None) -> Pickled:
    """The object as it can be sent. Raises CannotTravel."""
    kind = type(implementation)
    if kind.__module__ == "__main__":
        raise CannotTravel(f"{kind.__name__} is defined in the program itself, which a child cannot import")
    try:
        return Pickled(pickle.dumps(implementation), target)
    except Exception as error:  # pickling runs the implementation's own code
        raise CannotTravel(f"it cannot be pickled: {error}") from error
