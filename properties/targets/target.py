"""A target names an implementation: an attribute of a file or module, a module of published classes, an entry point."""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sdtps_ref.properties.contract import METHODS, provided
from sdtps_ref.properties.targets.adapters import Adapted, adapt
from sdtps_ref.properties.targets.adapters.signatures import SIGNATURES, Recognised, recognise_class
from sdtps_ref.properties.targets.discovery import offered
from sdtps_ref.properties.targets.loading import ACCEPTED, REFERENCE, TargetError, attribute_of, load_module, offers

__all__ = ["ACCEPTED", "REFERENCE", "Target", "TargetError", "describe", "load", "loader", "resolve"]


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
    implementation = _found(module, attribute, place, target) if attribute else _adapted(module, target)
    found = [f"{target} is offered by the installed {entry.dist.name} as {entry.value}"] if entry and entry.dist else []
    if isinstance(implementation, Adapted):
        return Target(implementation, (*found, *implementation.found), tuple(implementation.notes))
    return Target(implementation, tuple(found))


def loader(target: str | None) -> str:
    """Lines of a script that define `implementation`, with no need of this project but where it adapts."""
    if target is None:
        return "# `implementation` was given as an object: bind it to yours here"
    entry = offered().get(target)
    place, attribute = (entry.module, entry.attr) if entry else _parted(target)
    found = attribute_of(load_module(place, target), attribute, place) if attribute else None
    if not attribute or _is_published(found):
        path = f"{Path(place).resolve()}{':' if attribute else ''}{attribute}" if place.endswith(".py") else target
        return f"from sdtps_ref.properties.targets.target import load\n\nimplementation = load({path!r})"
    made = "()" if isinstance(found, type) or not provided(found) else ""
    folder, name = ("", place)
    if place.endswith(".py"):
        folder, name = str(Path(place).parent), Path(place).stem
    first, _, rest = attribute.partition(".")
    return "\n".join(
        [
            f"sys.path.insert(0, {folder!r})",
            f"from {name} import {first}",
            "",
            f"implementation = {first}{'.' + rest if rest else ''}{made}",
        ]
    )


def describe(implementation: Any, target: str | None) -> dict[str, Any]:
    """Name, target, the sha256 of the file that the implementation was read from; what an adapter did, if one did."""
    name = getattr(implementation, "name", None)
    module = sys.modules.get(type(implementation).__module__)
    adapted = isinstance(implementation, Adapted)
    path = Path((implementation.source if adapted else getattr(module, "__file__", None)) or "")
    source = path.read_bytes() if path.is_file() else b""
    return {
        "name": name if isinstance(name, str) else type(implementation).__name__,
        "target": target,
        "sha256": hashlib.sha256(source).hexdigest() if source else None,
        "adapters": list(implementation.found) if adapted else [],
        "notes": list(implementation.notes) if adapted else [],
    }


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
        return adapt(found)[0]
    why = recognise_class(found) if isinstance(found, type) else ""
    if isinstance(found, type) or not provided(found):
        found = _made(found, target)
    if not provided(found):
        raise TargetError(
            f"{target} is {type(found).__name__} with none of the contract's methods; "
            f"accepted: an object with one or more of {', '.join(METHODS)}{'; ' * bool(why)}{why}"
        )
    return found


def _is_published(found: Any) -> bool:
    return isinstance(found, type) and not provided(found) and isinstance(recognise_class(found), Recognised)


def _adapted(module: ModuleType, target: str) -> Adapted:
    adapted, notes = adapt(module)
    if adapted is None or not provided(adapted):
        said = "; ".join(notes if adapted is None else adapted.notes) or "it has no class of a published signature"
        raise TargetError(
            f"{target}: {said}; accepted: {'; '.join(map(str, SIGNATURES))}; or {target}:attribute, of which it offers "
            f"{offers(module)}; `sdtps init` writes an adapter to start from"
        )
    return adapted


def _made(found: Any, target: str) -> Any:
    if not callable(found):
        return found
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise TargetError(f"{target}() raised {type(error).__name__}: {error}; accepted: no arguments") from error
