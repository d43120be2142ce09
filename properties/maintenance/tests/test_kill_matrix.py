"""README's kill matrix is the one that the planted faults make."""

from pathlib import Path

from properties.maintenance.kill_matrix import inserted

README = Path(__file__).resolve().parents[3] / "README.md"


def test_readme_shows_the_matrix_as_it_is() -> None:
    """README's kill matrix is what `python -m sdtps_ref.properties.maintenance.kill_matrix README.md` would write."""
    text = README.read_text(encoding="utf-8")

    assert inserted(text) == text
    assert "decision.forward_is_hard" in text
