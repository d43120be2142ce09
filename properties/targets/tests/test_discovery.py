"""Implementations that installed packages offer under a name."""

import sys
from pathlib import Path

import pytest

from sdtps_ref.properties.targets.target import TargetError, describe, load, loader, resolve, source_of

ADAPTER = "class Mine:\n    name = 'theirs'\n    def selector(self, **sizes): ...\n"
PUBLISHED = """
import torch
from torch import nn

class TokenAggregation(nn.Module):
    def __init__(self, dim, keeped_patches, dim_ratio=0.2):
        super().__init__()
        self.weight = nn.Linear(dim, keeped_patches)

    def forward(self, x, keep_policy=None):
        return self.weight(x).transpose(1, 2).softmax(2) @ x
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution as pip leaves one, with entry points of the group."""
    package, metadata = tmp_path / "their_package", tmp_path / "their_package-1.2.dist-info"
    package.mkdir()
    metadata.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sdtps_adapter.py").write_text(ADAPTER)
    (package / "model.py").write_text(PUBLISHED)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(
        "[sdtps.implementations]\ntheirs = their_package.sdtps_adapter:Mine\ntheir-model = their_package.model\n"
        "broken = their_package.absent:Mine\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "their_package"]:
        del sys.modules[name]


def test_an_installed_implementation_is_found_by_its_name(installed: Path) -> None:
    """Without a path; it is said where it came from, and a script finds it without this project."""
    found = resolve("theirs")

    assert found.implementation.name == "theirs"
    assert found.found == ("theirs is offered by the installed their-package as their_package.sdtps_adapter:Mine",)
    assert describe(found.implementation, "theirs")["target"] == "theirs"
    assert str(source_of(found.implementation)).endswith("sdtps_adapter.py")
    assert "from their_package.sdtps_adapter import Mine" in loader("theirs").text


def test_an_installed_module_of_published_classes(installed: Path) -> None:
    """An entry point that names a module only goes to the adapters."""
    found = resolve("their-model")

    assert "TokenAggregation recognised" in found.found[1]
    assert "no selector found" in found.notes
    assert "import TokenAggregation" in loader("their-model", found.implementation).text


def test_an_unknown_name_lists_what_is_installed(installed: Path) -> None:
    """One line, with every name that is offered."""
    with pytest.raises(TargetError, match=r"given target 'ours'.*theirs, their-model, broken.*accepted: ") as raised:
        load("ours")

    assert "\n" not in str(raised.value)


def test_a_broken_entry_point_is_a_bad_target(installed: Path) -> None:
    """A module that is not there is said, not raised."""
    with pytest.raises(TargetError, match=r"their_package.absent could not be imported"):
        load("broken")
