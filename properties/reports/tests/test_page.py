"""The base page: what it lets through, and how a plot gets onto it."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from sdtps_ref import optional_libraries
from sdtps_ref.properties.reports import figures, page


def drawn(prefix: str, title: str = "noise") -> str:
    """A small figure as it stands on a page."""
    with figures.drawing(3, 2) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [1, 0], color=figures.FIRST)
        axes.scatter([0, 1], [0, 1], color=figures.BAD)
        axes.set_title(title)
        return figures.inlined(figure, f"a line of {title}", prefix)


def test_a_page_escapes_what_it_is_given(tmp_path, monkeypatch) -> None:
    """Values are text, whatever they contain; the page carries its style and a policy against scripts."""
    (tmp_path / "some_room").mkdir()
    (tmp_path / "some_room" / "__init__.py").touch()
    (tmp_path / "some_room" / "plain.html").write_text(
        '{% extends "page.html" %}{% block title %}{{ name }}{% endblock %}{% block body %}{{ name }}{% endblock %}'
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    rendered = page.render("some_room", "plain.html", name="<script>alert(1)</script>")

    assert "<script" not in rendered
    assert rendered.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
    assert "default-src 'none'" in rendered
    assert "prefers-color-scheme: dark" in rendered


def test_a_figure_is_in_the_page_s_colours() -> None:
    """No colour of matplotlib's is left, so that the plot follows light and dark; it is well-formed XML."""
    svg = drawn("noise")

    ElementTree.fromstring(svg)
    assert "var(--first)" in svg and "var(--bad)" in svg and "var(--ink)" in svg
    assert not any(colour in svg for colour in figures.NAMES)
    assert "<style" not in svg


def test_ids_of_two_figures_stay_apart() -> None:
    """The same figure twice on a page shares no id, and everything that is referred to is there."""
    one, other = (ElementTree.fromstring(drawn(prefix)) for prefix in ("one", "other"))

    ids = [{part.get("id") for part in tree.iter() if part.get("id")} for tree in (one, other)]
    links = {value[1:] for part in one.iter() for name, value in part.items() if name.endswith("href")}
    assert not ids[0] & ids[1]
    assert links and links <= ids[0]


def test_a_hostile_title_is_text() -> None:
    """Markup and mathematics in what the subject calls itself are drawn as they are written."""
    svg = drawn("noise", title='<script>alert(1)</script> costs $5$ "each"')

    said = "".join(ElementTree.fromstring(svg).itertext())
    assert "<script" not in svg
    assert '<script>alert(1)</script> costs $5$ "each"' in said


def test_drawing_twice_gives_the_same_text() -> None:
    """A record always has the same page: no date, no random ids."""
    first, second = drawn("a"), drawn("a")

    assert first == second


def test_a_file_of_its_own_has_the_light_colours() -> None:
    """It lies on no page whose style would resolve them: none of the stand-ins is left, and the ground is filled."""
    with figures.drawing(3, 2) as figure:
        figure.subplots().plot([0, 1], [1, 0], color=figures.FIRST)
        svg = figures.standalone(figure)

    used = set(re.findall(r"#[0-9a-f]{6}", svg))
    assert {"#0b63c5", "#ffffff"} <= used
    assert not used & set(figures.NAMES)
    assert "var(" not in svg


def test_a_missing_library_is_one_line() -> None:
    """What needs it, what is missing, and what brings it."""
    with pytest.raises(optional_libraries.MissingLibrary) as caught:
        optional_libraries.require("no_such_library.part", "--html")

    said = str(caught.value)
    assert said == "--html needs no_such_library, which is not installed: pip install 'sdtps-ref[report]' brings it"


def test_a_library_that_is_too_old_is_one_line() -> None:
    """One that is installed and lacks what is needed is told as such, not by an AttributeError."""
    with pytest.raises(optional_libraries.MissingLibrary, match="--html needs a newer jinja2 than is installed"):
        optional_libraries.require("jinja2", "--html", offers="Template4")
