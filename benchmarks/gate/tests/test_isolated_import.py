"""Operands and copies: two versions of one package side by side, and whatever cannot be compared said in one line."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import sdtps_ref.selection
from sdtps_ref.benchmarks.gate.measuring.cells import CellOptions, chosen
from sdtps_ref.benchmarks.gate.measuring.equivalence import Different, check_same
from sdtps_ref.benchmarks.gate.measuring.isolated_import import loaded
from sdtps_ref.benchmarks.gate.measuring.revisions import Operand, resolve
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.benchmarks.workloads.sizes import Size
from sdtps_ref.errors import InvalidInput

TINY = Size(2, 8, 4, 16, 2)

PACKAGE = """
import torch


class Mine:
    name = "mine"

    def pipeline(self, *, dim, num_tokens, keep, slots, tau):
        from own import inner  # found when it is built, not when it is imported

        return inner.Pool(keep, slots)
"""
INNER = """
import torch


class Pool(torch.nn.Module):
    def __init__(self, keep, slots):
        super().__init__()
        self.keep, self.weight = keep, torch.nn.Parameter(torch.rand(slots, keep))

    def forward(self, tokens, score):
        kept = score.topk(self.keep).indices.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])
        return {factor} * (self.weight @ tokens.gather(1, kept)) + 0 * score.sum()
"""


def written(folder: Path, factor: str = "1.0") -> Path:
    """A folder with the package `own`, whose pooled tokens are multiplied by `factor`."""
    package = folder / "own"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PACKAGE)
    (package / "inner.py").write_text(INNER.format(factor=factor))
    return folder


def folder_of(path: Path) -> Operand:
    """The operand that names the package in this folder."""
    return resolve(str(path), implementation="own:Mine", repository=path, into=path)


def revision_of(repository: Path, into: Path, revision: str = "HEAD") -> Operand:
    """The operand that names a revision."""
    return resolve(revision, implementation="own:Mine", repository=repository, into=into)


def test_copies_share_no_module(tmp_path: Path) -> None:
    """Two folders with a package of one name, each loaded twice, and nothing is left in sys.modules."""
    sides = [folder_of(written(tmp_path / name, factor)) for name, factor in (("one", "1.0"), ("two", "2.0"))]
    before = dict(sys.modules), list(sys.path)

    copies = [loaded(side) for side in (*sides, sides[0])]
    built = []
    for copy in copies:
        with copy.active():
            built.append(copy.implementation.pipeline(dim=4, num_tokens=4, keep=2, slots=1, tau=1.0))

    files = [copy.modules["own.inner"].__file__ for copy in copies]
    assert [str(tmp_path / name / "own" / "inner.py") for name in ("one", "two", "one")] == files
    assert len({type(module) for module in built}) == 3
    assert not any(name.partition(".")[0] == "own" for name in sys.modules)
    assert before[0].items() <= dict(sys.modules).items()
    assert before[1] == sys.path


def test_the_suite_itself_is_compared_and_left_alone() -> None:
    """A copy of sdtps_ref is another class, and the suite that is running keeps its own modules."""
    house = Path(sdtps_ref.__file__).parent.parent
    own = sdtps_ref.selection.TokenSparse

    copy = loaded(
        resolve(str(house), implementation="sdtps_ref.properties.reference:log_mask", repository=house, into=house)
    )

    assert type(copy.implementation.selector(dim=4, num_tokens=4, keep=2, tau=1.0)) is not own
    assert sys.modules["sdtps_ref.selection"].TokenSparse is own


def test_files_beside_each_other_are_loaded_apart(tmp_path: Path) -> None:
    """Two files of one name, whose neighbours have one name too, are two implementations."""
    for name, factor in (("one", "1.0"), ("two", "2.0")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "neighbour.py").write_text(f"FACTOR = {factor}\n")
        (folder / "mine.py").write_text(
            "from neighbour import FACTOR\n\n\nclass Mine:\n    name = 'mine'\n    factor = FACTOR\n\n"
            "    def pipeline(self, **sizes):\n        return None\n"
        )
    sides = [
        resolve(f"{tmp_path / name / 'mine.py'}:Mine", implementation="own:Mine", repository=tmp_path, into=tmp_path)
        for name in ("one", "two")
    ]

    factors = [loaded(side).implementation.factor for side in sides]

    assert factors == [1.0, 2.0]


def committed(repository: Path) -> Path:
    """The folder, with a commit of all that is in it."""
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(repository), *command], check=True
        )
    return repository


ADAPTER = """
from my_model import FACTOR


class Mine:
    name = "mine"
    factor = FACTOR

    def pipeline(self, **sizes):
        return None
"""


@pytest.mark.parametrize("implementation", ["adapter:Mine", "adapter.py:Mine"])
@pytest.mark.parametrize("place", ["my_model.py", "src/my_model.py", "my_model/__init__.py"])
def test_a_revision_brings_what_its_adapter_uses(
    implementation: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each revision its own model, also where the working folder has a third one."""
    repository = tmp_path / "repository"
    file = repository / place
    file.parent.mkdir(parents=True)
    (repository / "adapter.py").write_text(ADAPTER)
    sides = []
    for factor in ("1.0", "2.0"):
        file.write_text(f"FACTOR = {factor}\n")
        into = tmp_path / f"extracted-{factor}"
        into.mkdir()
        sides.append(resolve("HEAD", implementation=implementation, repository=committed(repository), into=into))
    file.write_text("FACTOR = 3.0\n")
    monkeypatch.chdir(repository)
    monkeypatch.syspath_prepend(file.parent)  # as an editable install has it

    assert [loaded(side).implementation.factor for side in sides] == [1.0, 2.0]


def test_what_only_the_working_tree_has_is_no_revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides would be the same code: refused, with the file."""
    repository = tmp_path / "repository"
    hidden = repository / "python" / "deep"
    hidden.mkdir(parents=True)
    (hidden / "my_model.py").write_text("FACTOR = 1.0\n")
    (repository / "adapter.py").write_text(ADAPTER)
    monkeypatch.syspath_prepend(hidden)
    into = tmp_path / "extracted"
    into.mkdir()
    side = resolve("HEAD", implementation="adapter.py:Mine", repository=committed(repository), into=into)

    with pytest.raises(InvalidInput, match=r"given HEAD, whose my_model came from .*deep/my_model.py; accepted: one"):
        loaded(side)


def test_a_file_that_a_revision_lacks_is_said(tmp_path: Path) -> None:
    """With its place."""
    with pytest.raises(InvalidInput, match=r"has no file adapter\.py; accepted: a folder with it, or --implementation"):
        resolve(str(tmp_path), implementation="adapter.py:Mine", repository=tmp_path, into=tmp_path)


def test_a_revision_is_what_was_committed(tmp_path: Path) -> None:
    """Not what lies in the working tree; and the repository is left as it was."""
    repository = committed(written(tmp_path / "repository", "3.0"))
    (repository / "own" / "inner.py").write_text("this is no Python")
    into = tmp_path / "extracted"
    into.mkdir()

    operand = revision_of(repository, into)

    assert operand.meant.startswith("commit ")
    assert INNER.format(factor="3.0") == (into / "own" / "inner.py").read_text()
    assert (repository / "own" / "inner.py").read_text() == "this is no Python"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("no-such-revision", "neither a folder nor a target"),
        ("--upload-pack=x", "neither a folder nor a target"),
        ("missing.py:Mine", "there is no file missing.py"),
    ],
)
def test_what_is_no_operand_is_said(given: str, said: str, tmp_path: Path) -> None:
    """One line with what was given and what is accepted."""
    with pytest.raises(InvalidInput, match=said) as caught:
        resolve(given, implementation="own:Mine", repository=tmp_path, into=tmp_path)

    assert given in str(caught.value)
    assert "accepted: a git revision, a folder" in str(caught.value)


def test_a_folder_without_the_package_is_refused(tmp_path: Path) -> None:
    """It says which package it looked for."""
    with pytest.raises(InvalidInput, match="has no package own"):
        folder_of(tmp_path)


@pytest.mark.parametrize(
    ("factor", "same"),
    [("1.0", True), ("(1 + 2**-24)", True), ("1.0001", False), ("0.0", False), ("float('nan')", False)],
)
@pytest.mark.parametrize("mode", ["forward", "forward+backward"])
def test_only_the_same_answer_is_timed(mode: str, factor: str, same: bool, tmp_path: Path) -> None:
    """A last bit of difference is within the error budget; a ten thousandth, zeros and NaN are not."""
    base, head = (loaded(folder_of(written(tmp_path / name, by))) for name, by in (("base", "1.0"), ("head", factor)))
    cell = Cell("pipeline", TINY, mode)

    def check() -> None:
        check_same(cell, base, head)

    assert same == passes(check)


def passes(check: Callable[[], None]) -> bool:
    """Whether the check finds no difference."""
    try:
        check()
    except Different:
        return False
    return True


def test_cells_are_what_both_offer(tmp_path: Path) -> None:
    """A stage that one side lacks is left out; asked for by name, it is refused; with none left, nothing can be."""
    mine = loaded(folder_of(written(tmp_path))).implementation
    reference = loaded(Operand("", "sdtps_ref.properties.reference:log_mask", "", None)).implementation

    cells = chosen(mine, reference)

    assert {"pipeline"} == {cell.stage for cell in cells}
    with pytest.raises(InvalidInput, match="stage 'selection'; accepted: what both offer: pipeline"):
        chosen(mine, reference, CellOptions(stages=("selection",)))
    with pytest.raises(InvalidInput, match="share no stage"):
        chosen(mine, torch.nn.Identity())
