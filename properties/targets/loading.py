"""Modules and what is in them, by file or by name; whatever is wrong with them is said in one line."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.kit.roots import forget, package_of, put_first, put_on_path, stand_in
from sdtps_ref.properties.targets.discovery import GROUP, offered

REFERENCE = "sdtps_ref.properties.reference:Reference"
PUBLISHED = "sdtps_ref.properties.reference:published"  # with the mask of the papers, which does not train well
ACCEPTED = (
    "package.module:attribute or path/to/file.py:attribute, the attribute left out where the classes have a published "
    "signature; or the name under which an installed package offers one"
)

SHOWN = 12  # names that a module offers, in a message


class TargetError(SDTPSError):
    """The target could not be loaded; the message is one line."""


def attribute_of(module: ModuleType, attribute: str, place: str) -> Any:
    """What the module has by that name, which may be dotted. Raises TargetError."""
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise TargetError(f"{place} has no attribute {attribute!r}; it offers {offers(module)}") from None
    return found


def load_module(place: str, target: str) -> ModuleType:
    """The module at `place`, a file or a dotted name. Raises TargetError; target: what was asked for."""
    try:
        if not place.endswith(".py"):
            if "" not in sys.path:
                sys.path.insert(0, "")  # a console script does not look where it was called from
            return importlib.import_module(place)
        path = Path(place).resolve()
        if not path.is_file():
            raise TargetError(f"there is no file {place}")
        put_on_path(path)
        package = package_of(path)
        name = ".".join((*package, path.stem))
        loaded = sys.modules.get(name)
        if loaded is not None and getattr(loaded, "__file__", None) == str(path):
            return loaded
        if package:
            stand_in(package, path)
        try:
            return _executed(name, path)
        except ImportError as error:
            if error.name not in {".".join(package[:count]) for count in range(1, len(package) + 1)}:
                raise
            forget(package)  # what is imported from it is made by its own code
            put_first(path.parents[len(package)])
            return importlib.import_module(name)
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
        raise TargetError(f"{place} could not be imported: {_missing(error, place)}") from error
    except ImportError as error:
        raise TargetError(
            f"{place} could not be imported: {error}: install the release that the file needs, or give --root, the "
            "folder from which the file's imports start"
        ) from error
    except (Exception, SystemExit) as error:
        raise TargetError(f"{place} raised {type(error).__name__} when imported: {error}") from error


def _executed(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


def _missing(error: ModuleNotFoundError, place: str) -> str:
    """Which package, and what helps; of a dotted place that is no file, what is accepted."""
    if not place.endswith(".py") or error.name is None:
        return f"{error}; accepted: {ACCEPTED}"
    package = error.name.partition(".")[0]
    found = sys.modules.get(package)
    if found is None:
        return (
            f"it needs the package {package}, which is not installed: install it, or give --root, the folder from "
            "which the file's imports start"
        )
    at = getattr(found, "__file__", None) or next(iter(getattr(found, "__path__", [])), "memory")
    return (
        f"{error.name} is not in the package {package} that was found at {at}: install the release that the file "
        "needs, or give --root, the folder from which the file's imports start"
    )


def offers(module: ModuleType) -> str:
    """What the module itself defines, in words."""
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", module.__name__) == module.__name__
        and not isinstance(value, ModuleType)
    ]
    shown = own[:SHOWN] + ["..."] * (len(own) > SHOWN)
    return ", ".join(shown) or "nothing public"
