"""The formats by themselves: each is what its readers take, says what happened, and holds what a subject may say."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import fields, replace

import jsonschema
import pytest
from junitparser import JUnitXml
from markdown_it import MarkdownIt

from properties.reports.tests.conftest import HOSTILE
from sdtps_ref.properties.certificates import schema
from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.certificates.visible import visible
from sdtps_ref.properties.kit.case import DTYPES, LAYOUTS, SCORE_KINDS, TOKEN_KINDS, Case
from sdtps_ref.properties.reports.badge import badge
from sdtps_ref.properties.reports.formats import FORMATS
from sdtps_ref.properties.reports.html import html
from sdtps_ref.properties.reports.junit import junit
from sdtps_ref.properties.reports.markdown import LONGEST, markdown
from sdtps_ref.properties.reports.record import record

SEEN = visible(HOSTILE)


def outcomes(xml: str) -> dict[str, str]:
    """What a reader of JUnit XML takes each test case for."""
    suites = JUnitXml.fromstring(xml.encode())
    return {case.name: (type(case.result[0]).__name__ if case.result else "passed") for s in suites for case in s}


def rendered(text: str) -> str:
    """The HTML that Markdown with tables comes to."""
    return MarkdownIt("commonmark").enable("table").render(text)


def test_the_schema_is_a_schema() -> None:
    """Draft 2020-12, strict about what a record holds."""
    published = json.loads(schema.text())

    jsonschema.Draft202012Validator.check_schema(published)
    assert published["additionalProperties"] is False


@pytest.mark.parametrize("which", ["measured", "every", "hostile"])
def test_every_record_is_as_the_schema_has_it(which: str, request: pytest.FixtureRequest) -> None:
    """What is written passes the published schema, in all statuses; it is small, and reads back the same."""
    certificate = request.getfixturevalue(which)

    written = record(certificate)
    parsed = json.loads(written)
    assert schema.problem(parsed, "a test") is None
    assert len(written) < 200_000
    assert Certificate.from_json(parsed).to_json() == parsed


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("verdict",), "splendid", "$.verdict"),
        (("more",), 1, "'more' was unexpected"),
        (("laws", 0, "status"), "fine", "$.laws[0].status"),
        (("laws", 0, "examples"), -1, "$.laws[0].examples"),
        (("laws", 0, "id"), "<b>", "$.laws[0].id"),
        (("environment", "seed"), "0", "$.environment.seed"),
        (("environment", "weather"), "mild", "'weather' was unexpected"),
    ],
)
def test_the_schema_refuses(measured: Certificate, place: tuple, value: object, says: str) -> None:
    """A value of another kind, or a field that nobody knows, is told with its place."""
    changed = json.loads(record(measured))
    part = changed
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value

    assert says in (schema.problem(changed, "a test") or "")


def test_no_number_of_a_record_is_beyond_json(measured: Certificate) -> None:
    """A gain of infinity would be no JSON: it is refused where it is written, and findings are words by then."""
    endless = replace(measured.laws[0], findings={"gain": float("inf")})

    with pytest.raises(ValueError, match="Out of range float"):
        record(replace(measured, laws=(endless, *measured.laws[1:])))


def test_junit_tells_failures_errors_and_what_is_neither(every: Certificate) -> None:
    """A warning is no failure, since it refuses nothing; what was expected to fail is skipped, as pytest has it."""
    xml = junit(every)

    suite = ElementTree.fromstring(xml.encode())[0]
    assert outcomes(xml) == {
        "shape.follows_inputs": "passed",
        "decision.forward_is_hard": "Failure",
        "gradient.well_conditioned": "Skipped",
        "noise.is_gumbel": "Error",
        "noise.is_finite": "Error",
        "runtime.compiles": "Skipped",
        "decision.keeps_top_k": "Skipped",
        "errors.nan_scores": "Skipped",
        "errors.keep_of_zero": "Failure",
    }
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["9", "2", "2", "4"]


def test_junit_has_the_message_the_case_and_the_script(every: Certificate) -> None:
    """What a CI system shows of a failed test is what the console shows."""
    tree = ElementTree.fromstring(junit(every).encode())

    failed = tree.find(".//testcase[@name='decision.forward_is_hard']/failure")
    assert failed.get("message") == "D is soft"
    for part in ("at B=1 N=4", "remedy: ", "import torch"):
        assert part in failed.text


def test_junit_holds_what_a_subject_may_say(hostile: Certificate) -> None:
    """Markup, the end of a CDATA section and control characters are text, so that the XML stays XML."""
    tree = ElementTree.fromstring(junit(hostile).encode())

    assert tree[0].get("name") == f"sdtps: {SEEN}"
    assert tree.find(".//testcase[@name='decision.forward_is_hard']/failure").get("message") == SEEN


def test_markdown_is_short_and_says_it_all(every: Certificate) -> None:
    """A row for each law that was not simply passed, and a section for each that failed, its script folded away."""
    page = rendered(markdown(every))

    assert page.count("<tr>") == 2 + 8  # two tables' heads, and every law but the one that passed
    for part in ("REFUSED", "gain of 1e10", "not judged here", "passed, though it was expected to fail", "Remedy"):
        assert part in page
    assert page.count("<summary>script") == 4
    assert "known since spring" in page and "known since spring" in html(every)


def test_markdown_holds_what_a_subject_may_say(hostile: Certificate) -> None:
    """Nothing that it says becomes a tag, a link, a cell, a mention or the end of a block."""
    text = markdown(hostile)

    page = rendered(text)
    cells = re.findall(r"<tr>.*?</tr>", page, flags=re.DOTALL)
    assert "<script" not in page and "<img" not in page and "<a " not in page and "<strong" not in page
    assert all(row.count("<td>") == 4 for row in cells if "<th>" not in row) and len(cells) > 4
    assert "document.title" in page
    assert "@someone" not in re.sub(r"(```+).*?\1", "", text, flags=re.DOTALL)


def test_markdown_fits_into_a_comment(every: Certificate) -> None:
    """Where the scripts are too long for a comment, they are left out, which is said; the rest stays."""
    fallen = every.laws[1]
    long = replace(fallen, failure=replace(fallen.failure, script="# long\n" * 10_000))

    text = markdown(replace(every, laws=(*every.laws[:1], long, *every.laws[2:])))

    assert len(text) < LONGEST
    assert "# long" not in text and "the JSON has it" in text and "D is soft" in text


def test_badges(measured: Certificate, every: Certificate) -> None:
    """What shields.io asks for: label, message, colour; an error where it is not certified."""
    passed = replace(every, laws=every.laws[:1])
    part, refused, nothing = (json.loads(badge(c)) for c in (passed, measured, replace(passed, laws=())))

    assert part == {"schemaVersion": 1, "label": "sdtps", "message": "certified, in part", "color": "yellowgreen"}
    assert (refused["message"], refused["color"], refused["isError"]) == ("refused", "red", True)
    assert (nothing["message"], nothing["color"], nothing["isError"]) == ("not measured", "lightgrey", True)


def test_the_page_holds_what_a_subject_may_say(hostile: Certificate) -> None:
    """No tag, template or invisible character of its own gets onto the page; all that it says is readable there."""
    page = html(hostile)

    assert "<script" not in page and "<img" not in page
    assert "{{ 7 * 7 }}" in page
    assert "\\x00" in page and "\\u202e" in page and "\\udcff" in page
    assert not {"\x00", "\x1b", "\u202e"} & set(page)


def test_the_page_has_every_law_and_every_plot(measured: Certificate) -> None:
    """Verdict, message, case, remedy and script of what failed; a row a law; four figures."""
    page = html(measured)

    assert page.count("<figure>") == page.count("<svg ") == 4
    assert all(result.id in page for result in measured.laws)
    assert "REFUSED by noise.is_gumbel" in page and "looks like Gumbel(0, 1), times 0.5" in page
    assert measured.to_json()["sha256"] in page


def test_a_lost_process_has_no_script_and_no_remedy(every: Certificate) -> None:
    """Where the process died there is nothing to run and nothing that the law could advise; what it did is noted."""
    died = replace(every.laws[1].failure, message="it died", script="", traceback="Fatal Python error")
    fallen = replace(every.laws[1], status="error", failure=died, notes=("it changed the default dtype",))
    lost = replace(every, laws=(every.laws[0], fallen))

    page, text, xml = html(lost), markdown(lost), junit(lost)

    assert "Fatal Python error" in page
    for said in (page, text, xml):
        assert "it died" in said and "it changed the default dtype" in said
        assert "script" not in said.partition("Every law")[0] and "emedy" not in said


def test_a_record_makes_the_same_reports_once_stored(measured: Certificate) -> None:
    """Everything that a report shows is in the record."""
    stored = Certificate.from_json(json.loads(record(measured)))

    for known in FORMATS.values():
        assert known.made(measured) == known.made(stored)


def test_the_schema_knows_every_case() -> None:
    """What a case may hold is written twice, in Python and in the schema: they agree."""
    published = json.loads(schema.text())["$defs"]["case"]["properties"]

    assert set(published) == {known.name for known in fields(Case)}
    for name, kinds in (("dtype", DTYPES), ("layout", LAYOUTS), ("scores", SCORE_KINDS), ("tokens", TOKEN_KINDS)):
        assert published[name]["enum"] == list(kinds)
