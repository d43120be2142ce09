"""A file's imports work as they do for its owner: from its repository's root, and within its package."""

import sys
from pathlib import Path

import pytest

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.kit.roots import package_of, put_root_on_path
from sdtps_ref.properties.targets.loading import TargetError, load_module


@pytest.fixture(autouse=True)
def own_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put path and modules back as they were."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))


def lay(root: Path, **files: str) -> None:
    """Write files; `__` in a name is a folder's slash."""
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_root_is_found_by_itself(tmp_path: Path) -> None:
    """Two folders above, where what the file imports lies beside its own folder."""
    lay(tmp_path, roots_models__pick="from roots_lib.layers import WIDTH\n", roots_lib__layers="WIDTH = 3\n")
    (tmp_path / ".git").mkdir()

    module = load_module(str(tmp_path / "roots_models" / "pick.py"), "")

    assert module.WIDTH == 3


def test_no_root_is_looked_for_above_the_repository(tmp_path: Path) -> None:
    """What lies beside somebody's repository is no part of it."""
    lay(tmp_path, roots_outside="X = 1\n", repo__pick="import roots_outside\n")
    (tmp_path / "repo" / ".git").mkdir()

    with pytest.raises(
        TargetError, match="needs the package roots_outside, which is not installed: install it, or give --root"
    ):
        load_module(str(tmp_path / "repo" / "pick.py"), "")


@pytest.mark.parametrize(
    "line",
    [
        "from .layers import WIDTH",
        "from ..roots_nets.layers import WIDTH",
        "from . import layers\nWIDTH = layers.WIDTH",
    ],
)
def test_relative_imports_work_without_running_the_package(tmp_path: Path, line: str) -> None:
    """An `__init__` may import far more than the file does, or fail: it is not run."""
    broken = "raise RuntimeError('needs a graphics card')\n"
    lay(tmp_path, roots_package__roots_nets__layers="WIDTH = 5\n", roots_package__roots_nets__pick=f"{line}\n")
    for folder in ("roots_package", "roots_package/roots_nets"):
        (tmp_path / folder / "__init__.py").write_text(broken)

    module = load_module(str(tmp_path / "roots_package" / "roots_nets" / "pick.py"), "")

    assert module.WIDTH == 5
    assert module.__name__ == "roots_package.roots_nets.pick"


def test_a_file_without_relative_imports_has_no_package(tmp_path: Path) -> None:
    """Whatever lies beside it."""
    lay(tmp_path, roots_flat____init__="", roots_flat__pick="import math\n")

    assert package_of(tmp_path / "roots_flat" / "pick.py") == ()


def test_the_root_that_is_asked_for_goes_first(tmp_path: Path) -> None:
    """`--root`: where a person says that imports start; one that is no folder is refused in one line."""
    lay(tmp_path, first__roots_sizes="WIDTH = 7\n", second__deep__pick="from roots_sizes import WIDTH\n")

    put_root_on_path(str(tmp_path / "first"))
    module = load_module(str(tmp_path / "second" / "deep" / "pick.py"), "")

    assert module.WIDTH == 7
    with pytest.raises(InvalidInput, match=r"given --root .*absent; accepted: a folder"):
        put_root_on_path(str(tmp_path / "absent"))


def test_a_package_that_its_files_import_from_is_run(tmp_path: Path) -> None:
    """Where something else of it asks for a name that only its `__init__` has."""
    lay(
        tmp_path,
        roots_whole__deep__size="from roots_whole import WIDTH\n",
        roots_whole__deep__pick="from .size import WIDTH\n",
    )
    (tmp_path / "roots_whole" / "__init__.py").write_text("WIDTH = 9\n")
    (tmp_path / "roots_whole" / "deep" / "__init__.py").write_text("")

    module = load_module(str(tmp_path / "roots_whole" / "deep" / "pick.py"), "")

    assert module.WIDTH == 9


def test_the_root_that_has_most_of_the_imports_will_do(tmp_path: Path) -> None:
    """What is missing beside them is then told, and not what lies there."""
    lay(tmp_path, roots_near="X = 1\n", below__deep__pick="import roots_near\nimport roots_absent\n")

    with pytest.raises(TargetError, match="it needs the package roots_absent, which is not installed"):
        load_module(str(tmp_path / "below" / "deep" / "pick.py"), "")


def test_a_part_that_the_installed_release_does_not_have_is_told(tmp_path: Path) -> None:
    """A package that is there, without the module that is asked for: where it was found, and what helps."""
    lay(tmp_path, roots_old____init__="", pick="import roots_old.layers\n")

    with pytest.raises(TargetError, match=r"roots_old.layers is not in the package roots_old that was found at .*"):
        load_module(str(tmp_path / "pick.py"), "")
