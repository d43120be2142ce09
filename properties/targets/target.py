"""A target names an implementation: an attribute of a file or module, a module of published classes, an entry point."""

import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from sdtps_ref.properties.contract import METHODS, provided
from sdtps_ref.properties.kit.rendering import Loader
from sdtps_ref.properties.kit.roots import import_lines
from sdtps_ref.properties.targets.adapters import Adapted, adapt, written
from sdtps_ref.properties.targets.adapters.signatures import Recognised, recognise_class
from sdtps_ref.properties.targets.discovery import offered
from sdtps_ref.properties.targets.from_call import FromCall, from_example, from_file
from sdtps_ref.properties.targets.loading import ACCEPTED, REFERENCE, TargetError, attribute_of, load_module

__all__ = ["ACCEPTED", "REFERENCE", "Target", "TargetError", "describe", "load", "loader", "resolve", "source_of"]


@dataclass(frozen=True)
class Target:
    """What a target led to. found: how, a line each; notes: what could not be certified, and what was done to it."""

    implementation: Any
    found: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[str, ...]:
        """Both, as the console has them."""
        return self.found + self.notes


def load(target: str) -> Any:
    """The implementation that `target` names. Raises TargetError, as `resolve` does."""
    return resolve(target).implementation


def resolve(target: str) -> Target:
    """The implementation that `target` names: an object, what a class or zero-argument factory makes, or an adapter.

    Raises TargetError, which says in one line what is wrong. The cause keeps its traceback.
    """
    entry = offered().get(target)
    place, attribute = (entry.module, entry.attr) if entry else _parted(target)
    module = load_module(place, target)
    implementation = _found(module, attribute, place, target) if attribute else _of_file(module, target)
    found = [f"{target} is offered by the installed {entry.dist.name} as {entry.value}"] if entry and entry.dist else []
    if isinstance(implementation, (Adapted, FromCall)):
        return Target(implementation, (*found, *implementation.found), tuple(implementation.notes))
    return Target(implementation, tuple(found))


def loader(target: str | None, implementation: Any = None, methods: Collection[str] = METHODS) -> Loader:
    """What a script defines `implementation` by, with no need of this project.

    implementation: what was loaded. methods: those of the contract that the script may call.
    """
    if isinstance(implementation, Adapted):
        return written(implementation, methods)
    if target is None:
        return Loader("# `implementation` was given as an object: bind it to yours here")
    entry = offered().get(target)
    place, attribute = (entry.module, entry.attr) if entry else _parted(target)
    attribute = attribute or "example"  # which a file that is not adapted was read by
    found = attribute_of(load_module(place, target), attribute, place)
    made = "()" if isinstance(found, type) or not provided(found) else ""
    first, _, rest = attribute.partition(".")
    imported = import_lines(Path(place).resolve(), [first]) if place.endswith(".py") else f"from {place} import {first}"
    return Loader(f"{imported}\n\nimplementation = {first}{'.' + rest if rest else ''}{made}")


def describe(implementation: Any, target: str | None) -> dict[str, Any]:
    """Name and target; what an adapter did, if one did."""
    name = getattr(implementation, "name", None)
    adapted = isinstance(implementation, (Adapted, FromCall))
    return {
        "name": name if isinstance(name, str) else type(implementation).__name__,
        "target": target,
        "adapters": list(implementation.found) if adapted else [],
        "notes": list(implementation.notes) if adapted else [],
    }


def source_of(implementation: Any) -> Path | None:
    """The file that the implementation was read from; None where it was read from none."""
    module = sys.modules.get(type(implementation).__module__)
    adapted = isinstance(implementation, (Adapted, FromCall))
    place = implementation.source if adapted else getattr(module, "__file__", None)
    return Path(place) if place and Path(place).is_file() else None


def _parted(target: str) -> tuple[str, str]:
    """Place and attribute; either may be empty."""
    place, colon, attribute = target.rpartition(":")
    if not colon:
        return target, ""
    if not place or not attribute:
        raise TargetError(f"given target {target!r}; accepted: {ACCEPTED}")
    return place, attribute


def _found(module: ModuleType, attribute: str, place: str, target: str) -> Any:
    found = attribute_of(module, attribute, place)
    if _is_published(found):
        return _with_call(adapt(found)[0], module, attribute)
    if isinstance(found, type) and issubclass(found, nn.Module) and not provided(found):
        return from_file(module, target, attribute)
    if isinstance(found, type) or not provided(found):
        made = _made(found, target)
        if not provided(made) and made is not found and (isinstance(made, tuple) or callable(made)):
            return from_example(module, found)
        found = made
    if not provided(found):
        raise TargetError(
            f"{target} is {type(found).__name__} with none of the contract's methods; accepted: an object with one or "
            f"more of {', '.join(METHODS)}, a torch module's class, or a function that returns (module, args)"
        )
    return found


def _is_published(found: Any) -> bool:
    return isinstance(found, type) and not provided(found) and isinstance(recognise_class(found), Recognised)


def _of_file(module: ModuleType, target: str) -> Any:
    """A file's implementation: known by one call, and through the contract too where its signatures are published."""
    adapted, _ = adapt(module)
    if adapted is None or not provided(adapted):
        return from_file(module, target)
    return _with_call(adapted, module, None)


def _with_call(adapted: Adapted | None, module: ModuleType, only: str | None) -> Any:
    """The adapted classes, with one call of the outermost of them that chooses tokens.

    The call alone, where it shows another form than the published one: the contract's laws are not true of that.
    """
    assert adapted is not None
    try:
        watched = from_file(module, str(module.__name__), only)
    except TargetError:
        return adapted
    if not watched.follows_contract:
        return watched
    adapted.call = watched.call  # type: ignore[attr-defined]
    adapted.found[:0] = watched.found
    adapted.notes[:0] = watched.notes
    return adapted


def _made(found: Any, target: str) -> Any:
    if not callable(found):
        return found
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise TargetError(f"{target}() raised {type(error).__name__}: {error}; accepted: no arguments") from error
