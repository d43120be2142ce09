"""Somebody's training script, as a file outside this project, with or without changes."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from sdtps_ref.properties.maintenance.traced_runs import rehearsal

MASK = ("logits = logits + d.log()[:, None]", "logits = logits - (1 - d[:, None]) * 1e10")


@pytest.fixture
def script(tmp_path) -> Callable[..., ModuleType]:
    """The script, imported anew with these edits."""

    def made(*edits: tuple[str, str], name: str = "somebodys") -> ModuleType:
        return rehearsal.script(edits, tmp_path, name)

    return made
