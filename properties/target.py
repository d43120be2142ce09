"""A target names an implementation: `package.module:attribute` or `path/to/file.py:attribute`."""

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.contract import METHODS, provided

REFERENCE = "sdtps_ref.properties.reference:Reference"
ACCEPTED = "package.module:attribute or path/to/file.py:attribute"


class TargetError(SDTPSError):
    """The target could not be loaded; the message is one line."""


def load(target: str) -> Any:
    """The implementation that `target` names: an object, or what a class or zero-argument factory makes.

    Raises TargetError, which says in one line what is wrong. The cause keeps its traceback.
    """
    place, _, attribute = target.rpartition(":")
    if not place or not attribute:
        raise TargetError(f"given target {target!r}; accepted: {ACCEPTED}")
    found = _attribute(_load_module(place), attribute, place)
    if isinstance(found, type) or not provided(found):
        found = _made(found, target)
    if not provided(found):
        raise TargetError(
            f"{target} is {type(found).__name__} with none of the contract's methods; "
            f"accepted: an object with one or more of {', '.join(METHODS)}"
        )
    return found


def loader(target: str | None) -> str:
    """Lines of a script that define `implementation`, with no need of this project."""
    if target is None:
        return "# `implementation` was given as an object: bind it to yours here"
    place, _, attribute = target.rpartition(":")
    found = _attribute(_load_module(place), attribute, place)
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
    """Name, target and the sha256 of the file that the implementation was read from."""
    name = getattr(implementation, "name", None)
    module = sys.modules.get(type(implementation).__module__)
    path = Path(getattr(module, "__file__", None) or "")
    source = path.read_bytes() if path.is_file() else b""
    return {
        "name": name if isinstance(name, str) else type(implementation).__name__,
        "target": target,
        "sha256": hashlib.sha256(source).hexdigest() if source else None,
    }


def _attribute(module: ModuleType, attribute: str, place: str) -> Any:
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise TargetError(f"{place} has no attribute {attribute!r}; it offers {_offers(module)}") from None
    return found


def _load_module(place: str) -> ModuleType:
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
    return ", ".join(own) or "nothing public"
