"""A file of somebody else's, written and loaded."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Write = Callable[[str], ModuleType]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Loads the text as a module from a file in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)

    def load(text: str) -> ModuleType:
        path = tmp_path / "theirs.py"
        path.write_text(text)
        module = ModuleType("theirs")
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, "theirs", module)
        exec(compile(text, str(path), "exec"), vars(module))
        return module

    return load
