"""A target names an implementation: an attribute of a file or module, a module of published classes, an entry point."""

import hashlib
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.adapters import Adapted, adapt
from sdtps_ref.properties.adapters.signatures import SIGNATURES
from sdtps_ref.properties.contract import METHODS, provided
from sdtps_ref.properties.discovery import GROUP, offered

REFERENCE = "sdtps_ref.properties.reference:Reference"
ACCEPTED = (
    "package.module:attribute or path/to/file.py:attribute, the attribute left out where the classes have a published "
    "signature; or the name under which an installed package offers one"
)

SHOWN = 12  # names that a module offers, in a message


class TargetError(SDTPSError):
    """The target could not be loaded; the message is one line."""


@dataclass(frozen=True)
class Target:
    """What a target led to. found: how, a line each; notes: what could not be certified, and what was done to it."""

    implementation: Any
    found: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def load(target: str) -> Any:
    """The implementation that `target` names. Raises TargetError, as `resolve` does."""
    return resolve(target).implementation


def resolve(target: str) -> Target:
    """The implementation that `target` names: an object, what a class or zero-argument factory makes, or an adapter.

    Raises TargetError, which says in one line what is wrong. The cause keeps its traceback.
    """
    entry = offered().get(target)
    place, attribute = _parted(entry.value if entry else target)
    module = _load_module(place, target)
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
    place, attribute = _parted(entry.value if entry else target)
    found = _attribute(_load_module(place, target), attribute, place) if attribute else None
    if not attribute or _is_published(found):
        path = f"{Path(place).resolve()}{':' if attribute else ''}{attribute}" if place.endswith(".py") else target
        return f"from sdtps_ref.properties.target import load\n\nimplementation = load({path!r})"
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
    found = _attribute(module, attribute, place)
    if _is_published(found):
        return adapt(found)[0]
    why = adapt(found)[1] if isinstance(found, type) else []
    if isinstance(found, type) or not provided(found):
        found = _made(found, target)
    if not provided(found):
        reasons = "".join(f"; {reason}" for reason in why)
        raise TargetError(
            f"{target} is {type(found).__name__} with none of the contract's methods; "
            f"accepted: an object with one or more of {', '.join(METHODS)}{reasons}"
        )
    return found


def _is_published(found: Any) -> bool:
    return isinstance(found, type) and not provided(found) and adapt(found)[0] is not None


def _adapted(module: ModuleType, target: str) -> Adapted:
    adapted, notes = adapt(module)
    if adapted is None or not provided(adapted):
        said = "; ".join(notes if adapted is None else adapted.notes) or "it has no class of a published signature"
        raise TargetError(
            f"{target}: {said}; accepted: {'; '.join(map(str, SIGNATURES))}; or {target}:attribute, of which it offers "
            f"{_offers(module)}; `sdtps init` writes an adapter to start from"
        )
    return adapted


def _attribute(module: ModuleType, attribute: str, place: str) -> Any:
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise TargetError(f"{place} has no attribute {attribute!r}; it offers {_offers(module)}") from None
    return found


def _load_module(place: str, target: str) -> ModuleType:
    try:
        if not place.endswith(".py"):
            if "" not in sys.path:
                sys.path.insert(0, "")  # a console script does not look where it was called from
            return importlib.import_module(place)
        path = Path(place).resolve()
        if not path.is_file():
            raise TargetError(f"there is no file {place}")
        loaded = sys.modules.get(path.stem)
        if loaded is not None and getattr(loaded, "__file__", None) == str(path):
            return loaded
        sys.path.insert(0, str(path.parent))  # for the file's own neighbours
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module
    except TargetError:
        raise
    except SyntaxError as error:
        raise TargetError(f"{place} is not Python: {error.msg} at line {error.lineno}") from error
    except ModuleNotFoundError as error:
        if place == target and error.name == place.partition(".")[0]:
            names = ", ".join(offered()) or "none is installed"
            raise TargetError(
                f"given target {target!r}, which is neither a module nor an entry point of group {GROUP} ({names}); "
                f"accepted: {ACCEPTED}"
            ) from error
        raise TargetError(f"{place} could not be imported: {error}; accepted: {ACCEPTED}") from error
    except (Exception, SystemExit) as error:
        raise TargetError(f"{place} raised {type(error).__name__} when imported: {error}") from error


def _made(found: Any, target: str) -> Any:
    if not callable(found):
        return found
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise TargetError(f"{target}() raised {type(error).__name__}: {error}; accepted: no arguments") from error


def _offers(module: ModuleType) -> str:
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", module.__name__) == module.__name__
        and not isinstance(value, ModuleType)
    ]
    shown = own[:SHOWN] + ["..."] * (len(own) > SHOWN)
    return ", ".join(shown) or "nothing public"
