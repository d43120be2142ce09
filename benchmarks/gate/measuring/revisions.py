"""What BASE and HEAD may be: a git revision, a folder with the package in it, or a target as `sdtps certify` takes."""

import io
import subprocess
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

from sdtps_ref.errors import InvalidInput

ACCEPTED = (
    "a git revision, a folder with the package in it, or a target (path/to/file.py:attribute or module:attribute)"
)
DEFAULT_IMPLEMENTATION = "sdtps_ref.properties.reference:log_mask"


@dataclass(frozen=True)
class Operand:
    """One side of a comparison. given: as it was asked for; target: what is loaded; meant: what that stands for.

    root: the folder that this side is loaded from; None where the target is a module of this environment.
    own: folders in it whose modules are this side's alone, whatever else has their names. package: of the target, which
    is its own in any case. repository: the working tree of a revision, from which nothing may come in its place.
    """

    given: str
    target: str
    meant: str
    root: str | None
    own: tuple[str, ...] = ()
    package: str = ""
    repository: str = ""


def resolve(given: str, *, implementation: str, repository: Path, into: Path) -> Operand:
    """The operand that `given` names.

    implementation: "package.module:attribute" or "path/to/file.py:attribute", looked up in a revision or a folder.
    repository: where revisions are looked for. into: an empty folder that a revision is written to. Raises
    InvalidInput.
    """
    path = Path(given)
    if path.is_dir():
        return _inside(path.resolve(), implementation, given, f"folder {path.resolve()}")
    place, _, attribute = given.rpartition(":")
    file = place or given
    if file.endswith(".py"):
        resolved = Path(file).resolve()
        if not resolved.is_file():
            raise InvalidInput.given(f"{given!r}, but there is no file {file}", ACCEPTED)
        target = f"{resolved}{':' * bool(place)}{attribute * bool(place)}"
        return Operand(given, target, f"target {target}", str(resolved.parent), (str(resolved.parent),))
    if place:
        return Operand(given, given, f"target {given}", None)
    commit = _commit(given, repository)
    _extract(commit, repository, into)
    operand = _inside(into.resolve(), implementation, given, f"commit {commit[:12]}")
    return replace(operand, repository=str(_top(repository).resolve()))


def _inside(folder: Path, implementation: str, given: str, meant: str) -> Operand:
    """The implementation as it is in `folder`: a package may lie there or in src, and use what lies in either."""
    place, _, attribute = implementation.rpartition(":")
    own = [root for root in (folder, folder / "src") if root.is_dir()]
    if place.endswith(".py"):
        file = folder / place
        if not file.is_file():
            raise InvalidInput.given(f"{folder}, which has no file {place}", "a folder with it, or --implementation")
        found = [file.parent, *(root for root in own if root != file.parent)]
        return Operand(given, f"{file}:{attribute}", meant, str(folder), tuple(map(str, found)))
    package = place.partition(".")[0]
    if folder.name == package and (folder / "__init__.py").is_file():
        return Operand(given, implementation, meant, str(folder.parent), (), package)
    having = [root for root in own if (root / package / "__init__.py").is_file() or (root / f"{package}.py").is_file()]
    if not having:
        raise InvalidInput.given(f"{folder}, which has no package {package}", "a folder with it, or --implementation")
    found = [having[0], *(root for root in own if root != having[0])]
    return Operand(given, implementation, meant, str(folder), tuple(map(str, found)), package)


def _commit(revision: str, repository: Path) -> str:
    asked = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if asked.returncode:
        inside = _git(repository, "rev-parse", "--git-dir").returncode == 0
        where = f"no revision of the repository {repository.resolve()}" if inside else "neither a folder nor a target"
        raise InvalidInput.given(f"{revision!r}, which is {where}", ACCEPTED)
    return asked.stdout.decode().split()[-1]


def _extract(commit: str, repository: Path, into: Path) -> None:
    archived = _git(_top(repository), "archive", "--format=tar", commit)
    if archived.returncode:
        raise InvalidInput.given(f"commit {commit}: {archived.stderr.decode().strip()}", ACCEPTED)
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
        if hasattr(tarfile, "data_filter"):  # from 3.10.12, 3.11.4 and 3.12 on
            archive.extractall(into, filter="data")
        else:
            archive.extractall(into)


def _top(repository: Path) -> Path:
    return Path(_git(repository, "rev-parse", "--show-toplevel").stdout.decode().strip() or repository)


def _git(repository: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True)
    except FileNotFoundError as error:
        raise InvalidInput.given("a revision where there is no git", "git on the PATH, or folders") from error
