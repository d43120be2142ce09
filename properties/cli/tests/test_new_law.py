"""`sdtps new-law`: stubs that import, in a checkout that is not this one."""

import ast
import shutil
from pathlib import Path

import pytest

import sdtps_ref
from sdtps_ref.__main__ import main
from sdtps_ref.properties.cli import new_law

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the laws and the faults, taken for the checkout."""
    for part in ("properties/laws", "properties/selftest/planted"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "sdtps_ref").mkdir()
    monkeypatch.setattr(sdtps_ref, "__file__", str(tmp_path / "sdtps_ref" / "__init__.py"))
    return tmp_path / "properties"


@pytest.mark.parametrize(
    ("law_id", "law_file", "fault_file"),
    [
        ("selection.is_new", "laws/selection.py", "selftest/planted/selection.py"),
        ("gradient.is_new", "laws/gradient/is_new.py", "selftest/planted/gradient.py"),
        ("brand_new.is_new", "laws/brand_new.py", "selftest/planted/brand_new.py"),
    ],
)
def test_both_stubs_compile_and_name_each_other(checkout: Path, law_id: str, law_file: str, fault_file: str) -> None:
    """In the stage's own files, with every name that they use imported, and nothing else changed."""
    before = {path: (checkout / path).read_text() for path in (law_file, fault_file) if (checkout / path).exists()}

    assert main(["new-law", law_id]) == 0

    law, fault = ((checkout / path).read_text() for path in (law_file, fault_file))
    assert "def is_new(probe: Probe) -> None:" in law
    assert f'@fault(expected_law="{law_id}")\nclass BreaksIsNew(Plain):' in fault
    for path, text in ((law_file, law), (fault_file, fault)):
        defined = {
            name.name for node in ast.parse(text).body if isinstance(node, ast.ImportFrom) for name in node.names
        }
        assert {"law", "Probe", "expect_equal"} <= defined or {"Plain", "fault"} <= defined
        assert set(before.get(path, "").splitlines()) - set(text.splitlines()) <= {
            line for line in before.get(path, "").splitlines() if "import" in line
        }


@pytest.mark.parametrize("given", ["decision", "Decision.IsNew", "decision.is.new", "decision.class", "../a.b"])
def test_what_is_no_id_is_refused(checkout: Path, given: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that says what was given and what is accepted; exit status 2; nothing is written."""
    assert main(["new-law", given]) == 2
    assert f"given law {given!r}; accepted: stage.claim" in capsys.readouterr().err


def test_an_id_that_is_taken_is_refused(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ids are never reused, wherever in its stage a law stands."""
    assert main(["new-law", "gradient.is_finite"]) == 2
    assert "accepted: an id that was never used" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "owed"),
    [
        ('"""A."""\n', '"""A."""\n\nfrom b.c import D\n'),
        ("import torch\n", "import torch\n\nfrom b.c import D\n"),
        ("from b.c import (\n    E,\n    f,\n)\n", "from b.c import D, E, f\n"),
        ("from b.c import D\n", "from b.c import D\n"),
    ],
)
def test_imports_are_put_where_ruff_wants_them(text: str, owed: str) -> None:
    """A name is added to the import that is there; else the line comes behind the others."""
    assert owed == new_law.with_import(text, "b.c", "D")
