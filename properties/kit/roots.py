"""Where a file's own imports start: its repository's root, and its package, as its owner has them on the path."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from sdtps_ref.errors import InvalidInput

HIGHEST = 8  # folders above a file in which its imports are looked for


def put_on_path(path: Path) -> None:
    """Put the file's folder, and the root that holds what it imports, at the head of the path."""
    for folder in _folders(path):
        if folder not in sys.path:
            sys.path.insert(0, folder)


def import_lines(path: Path, names: Iterable[str], renamed: str = "") -> str:
    """Python that imports the names from the file as its owner has it; renamed: what the only one is called here."""
    package = package_of(path)
    folders = dict.fromkeys([*_folders(path), str(path.parents[len(package)])])
    paths = [f"sys.path.insert(0, {folder!r})" for folder in folders]
    module = ".".join((*package, path.stem))
    if all(part.isidentifier() for part in module.split(".")):
        return "\n".join([*paths, f"from {module} import {', '.join(names)}{f' as {renamed}' if renamed else ''}"])
    named = [f"{renamed or name} = importlib.import_module({module!r}).{name}" for name in names]
    return "\n".join(["import importlib", "", *paths, *named])


def put_first(folder: Path) -> None:
    """Put the folder at the head of the path, wherever else it is on it."""
    sys.path.insert(0, str(folder))


def put_root_on_path(root: str) -> None:
    """Put the root that was asked for at the head of the path, where child processes find it too.

    Raises InvalidInput where it is no folder.
    """
    if not Path(root).is_dir():
        raise InvalidInput.given(f"--root {root}", "a folder, the one from which the file's imports start")
    sys.path.insert(0, str(Path(root).resolve()))


def _folders(path: Path) -> list[str]:
    """Where the file's imports are looked for, the last one first."""
    return list(dict.fromkeys([str(path.parent), str(_root(path))]))


def _root(path: Path) -> Path:
    """The nearest folder above the file that has most of the imports which are not installed; else its own folder."""
    wanted = {name for name in _imported(path) if not _is_installed(name)}
    there = {folder: sum(_has(folder, name) for name in wanted) for folder in _above(path)}
    return max(there, key=lambda folder: there[folder]) if any(there.values()) else path.parent


def _has(folder: Path, name: str) -> bool:
    return (folder / name).is_dir() or (folder / f"{name}.py").is_file()


def _above(path: Path) -> Iterator[Path]:
    for folder in list(path.parents)[:HIGHEST]:
        yield folder
        if (folder / ".git").exists():
            return


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def _is_installed(name: str) -> bool:
    try:
        return name in sys.stdlib_module_names or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def package_of(path: Path) -> tuple[str, ...]:
    """The folders that are the file's package, outermost first; none where it makes no relative import."""
    level = max((n.level for n in ast.walk(_parsed(path)) if isinstance(n, ast.ImportFrom)), default=0)
    if not level:
        return ()
    depth = level
    while (path.parents[depth] / "__init__.py").is_file():
        depth += 1
    return tuple(folder.name for folder in reversed(list(path.parents)[:depth]))


def stand_in(package: tuple[str, ...], path: Path) -> None:
    """Packages in name only, whose own code is not run: an `__init__` may import far more than the file does."""
    top = path.parents[len(package) - 1].parent
    for count in range(1, len(package) + 1):
        name = ".".join(package[:count])
        if name in sys.modules:
            continue
        made = ModuleType(name)
        made.__path__ = [str(top.joinpath(*package[:count]))]
        sys.modules[name] = made


def forget(package: tuple[str, ...]) -> None:
    """Take the package and what was imported from it out of the modules, so that it is imported anew."""
    for name in [name for name in sys.modules if name == package[0] or name.startswith(f"{package[0]}.")]:
        del sys.modules[name]


def _parsed(path: Path) -> ast.AST:
    return ast.parse(path.read_bytes())
