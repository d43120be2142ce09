"""What BASE and HEAD may be: a git revision, a folder with the package in it, or a target as `sdtps certify` takes."""

import io
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from sdtps_ref.errors import InvalidInput

ACCEPTED = (
    "a git revision, a folder with the package in it, or a target (path/to/file.py:attribute or module:attribute)"
)
DEFAULT_IMPLEMENTATION = "sdtps_ref.properties.reference:log_mask"


@dataclass(frozen=True)
class Operand:
    """One side of a comparison. given: as it was asked for; target: what is loaded; meant: what that stands for.

    root: the folder whose modules are this side's own, loaded apart from any others of the same names;
    None where the target is a module of this environment. package: the one that is, of a revision or a folder.
    """

    given: str
    target: str
    meant: str
    root: str | None
    package: str = ""


def resolve(given: str, *, implementation: str, repository: Path, into: Path) -> Operand:
    """The operand that `given` names.

    implementation: "package.module:attribute", looked up in a revision or a folder. repository: where revisions are
    looked for. into: an empty folder that a revision is written to. Raises InvalidInput.
    """
    path, package = Path(given), implementation.partition(":")[0].partition(".")[0]
    if path.is_dir():
        root = _root(path.resolve(), package)
        return Operand(given, implementation, f"folder {path.resolve()}", str(root), package)
    place, _, attribute = given.rpartition(":")
    file = place or given
    if file.endswith(".py"):
        resolved = Path(file).resolve()
        if not resolved.is_file():
            raise InvalidInput.given(f"{given!r}, but there is no file {file}", ACCEPTED)
        target = f"{resolved}{':' * bool(place)}{attribute * bool(place)}"
        return Operand(given, target, f"target {target}", str(resolved.parent))
    if place:
        return Operand(given, given, f"target {given}", None)
    commit = _commit(given, repository)
    _extract(commit, repository, into)
    return Operand(given, implementation, f"commit {commit[:12]}", str(_root(into, package)), package)


def _root(folder: Path, package: str) -> Path:
    """The folder to import from, so that the package is the one in `folder`."""
    if folder.name == package and (folder / "__init__.py").is_file():
        return folder.parent
    for root in (folder, folder / "src"):
        if (root / package / "__init__.py").is_file() or (root / f"{package}.py").is_file():
            return root
    raise InvalidInput.given(f"{folder}, which has no package {package}", "a folder with it, or --implementation")


def _commit(revision: str, repository: Path) -> str:
    asked = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if asked.returncode:
        inside = _git(repository, "rev-parse", "--git-dir").returncode == 0
        where = f"no revision of the repository {repository.resolve()}" if inside else "neither a folder nor a target"
        raise InvalidInput.given(f"{revision!r}, which is {where}", ACCEPTED)
    return asked.stdout.decode().split()[-1]


def _extract(commit: str, repository: Path, into: Path) -> None:
    top = _git(repository, "rev-parse", "--show-toplevel").stdout.decode().strip() or str(repository)
    archived = _git(Path(top), "archive", "--format=tar", commit)
    if archived.returncode:
        raise InvalidInput.given(f"commit {commit}: {archived.stderr.decode().strip()}", ACCEPTED)
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
        if hasattr(tarfile, "data_filter"):  # from 3.10.12, 3.11.4 and 3.12 on
            archive.extractall(into, filter="data")
        else:
            archive.extractall(into)


def _git(repository: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True)
    except FileNotFoundError as error:
        raise InvalidInput.given("a revision where there is no git", "git on the PATH, or folders") from error
