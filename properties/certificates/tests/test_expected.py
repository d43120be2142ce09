"""Expected failures: strict in both directions, deterministic, and never mistaken for a law that passed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sdtps_ref.__main__ import main
from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties import check_implementation
from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.certificates.expected import ExpectedFailure, read_expected
from sdtps_ref.properties.certificates.expected_writing import generalised, write_expected
from sdtps_ref.properties.certificates.level import CORE
from sdtps_ref.properties.engine.expectations import held_against
from sdtps_ref.properties.engine.settings import Profile
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.case_json import stored_case
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, Plain, plant_all

plant_all()
FEW = Profile("few", examples=4, minimum=2)
LAW = "decision.forward_is_hard"
ENTRY = f'[[expected]]\nlaw = "{LAW}"\nreason = "known"\nmatch = "decision"\n'


def judged(implementation: object, expected: object, laws: tuple[str, ...] = (LAW,)) -> Certificate:
    """A quick certificate by some laws."""
    return check_implementation(
        implementation, profile=FEW, laws=laws, expected_failures=expected, isolated=False, reproduce=False
    )


def result_of(certificate: Certificate, law_id: str = LAW) -> LawResult:
    """What became of one law."""
    return next(result for result in certificate.laws if result.id == law_id)


def test_what_fails_as_expected_does_not_refuse() -> None:
    """xfailed: its failure is kept, what rests on it is blocked, and certificate and level tell of it."""
    certificate = judged(
        FAULTS["NoParentheses"](), {LAW: ExpectedFailure("known", match=r"but should be")}, laws=("decision",)
    )

    result = result_of(certificate)
    assert result.status == "xfailed"
    assert result.failure is not None
    assert result.reason == "known"
    assert certificate.verdict == "certified"
    assert certificate.expected_failures == (LAW,)
    assert {other.status for other in certificate.laws if other.id != LAW} <= {"passed", "blocked", "skipped"}


def test_a_level_with_expected_failures_does_not_look_like_one_without() -> None:
    """Whoever compares or prints the level sees how many MUSTs failed as expected."""
    with_all = {"implementation": {"methods": ["selector"]}, "environment": {"laws": "all", "shard": None}}
    core = tuple(LawResult(law_id, "MUST", "passed") for law_id in CORE["selector"])
    broken = LawResult("c.d", "MUST", "xfailed")

    plain = Certificate(**with_all, laws=core).level
    one = Certificate(**with_all, laws=(*core, broken)).level
    two = Certificate(**with_all, laws=(*core, broken, replace(broken, id="e.f"))).level

    assert plain == "selection"
    assert one == "selection, with 1 expected failure"
    assert two == "selection, with 2 expected failures"


def test_what_passes_against_expectation_refuses() -> None:
    """xpassed refuses, and what rests on the law is judged: the law holds."""
    certificate = judged(Plain(), {LAW: "thought to fail"}, laws=("decision",))

    assert result_of(certificate).status == "xpassed"
    assert result_of(certificate).reason == "passes, but was expected to fail (thought to fail): take it off the list"
    assert certificate.verdict == "refused"
    assert "blocked" not in {result.status for result in certificate.laws}


def test_a_should_that_passes_against_expectation_refuses_too() -> None:
    """What is strict is the list, not the law."""
    certificate = judged(Plain(), {"gradient.well_conditioned": "thought to fail"}, laws=("gradient.well_conditioned",))

    assert result_of(certificate, "gradient.well_conditioned").status == "xpassed"
    assert certificate.verdict == "refused"


def test_another_failure_than_the_expected_one_stays_a_failure() -> None:
    """It is refused, and the certificate tells what was expected."""
    certificate = judged(FAULTS["NoParentheses"](), {LAW: ExpectedFailure("known", match="NaN")})

    result = result_of(certificate)
    assert result.status == "failed"
    assert result.reason == "expected to fail with 'NaN' (known), but fails otherwise"
    assert certificate.verdict == "refused"


def test_nothing_measured_is_not_what_was_expected() -> None:
    """A reason alone excuses a failure, but not a law about which too little was measured; a match may."""
    unmeasured = LawResult(LAW, "MUST", "error", reason="only 0 of 9 cases said something")

    without_match = held_against(unmeasured, ExpectedFailure("known"))
    with_match = held_against(unmeasured, ExpectedFailure("known", match="only 0 of"))

    assert without_match.status == "error"
    assert with_match.status == "xfailed"


def test_all_that_passed_is_needed_for_a_certificate() -> None:
    """Where nothing passed there is nothing to certify, whatever was expected."""
    certificate = judged(FAULTS["KeepsOneMore"](), {"shape.follows_inputs": "known"}, laws=("shape",))

    assert certificate.verdict == "error"


def test_the_stored_case_comes_first_and_stays_as_it_is() -> None:
    """It is what the failure is reported on, not made smaller, and no other case is tried."""
    case = Case(batch=3, num_tokens=40, keep=11, dim=16, slots=3, scores="normal", seed=5)

    first, second = (
        result_of(judged(FAULTS["NoParentheses"](), {LAW: ExpectedFailure("known", case=case)})) for _ in range(2)
    )

    assert first.failure.case == case
    assert first.failure.message == second.failure.message
    assert first.examples == 1


@pytest.mark.parametrize(
    "case",
    [
        Case(batch=2, num_tokens=9, keep=4, dim=8, slots=2, drawn=tuple(map(float, range(18)))),
        Case(batch=4, num_tokens=9, keep=4, dim=8, slots=2, packed=(("normal", "normal", 1), ("ties", "constant", 2))),
    ],
)
def test_a_case_is_read_back_as_it_was_written(case: Case) -> None:
    """Drawn scores and packed examples included."""
    assert stored_case(json.loads(json.dumps(case.to_json()))) == case


def test_a_stored_case_that_passes_proves_nothing() -> None:
    """Where the stored case passes the others are still tried."""
    passes = Case(batch=1, num_tokens=1, keep=1, dim=8, slots=1, training=False)

    result = result_of(judged(FAULTS["NoParentheses"](), {LAW: ExpectedFailure("known", case=passes)}))

    assert result.status == "xfailed"
    assert result.failure.case != passes


def test_written_down_filled_in_and_read_back(tmp_path: Path) -> None:
    """What `write_expected` writes is refused until there is a reason, and then expects just what was seen."""
    file = tmp_path / "expected.toml"
    refused = judged(FAULTS["NoParentheses"](), None)

    count = write_expected(file, refused)
    with pytest.raises(InvalidInput, match=r"entry 1 \(decision.forward_is_hard\): given reason ''"):
        read_expected(file)
    file.write_text(file.read_text().replace('reason = ""', 'reason = "known"'))
    certificate = judged(FAULTS["NoParentheses"](), file)

    assert count == len([result for result in refused.laws if result.refuses])
    assert result_of(certificate).status == "xfailed"
    assert result_of(certificate).failure.case == result_of(refused).failure.case
    assert certificate.verdict == "certified"


def test_writing_overwrites_nothing(tmp_path: Path) -> None:
    """Reasons that somebody wrote are not lost, and a certificate without failures leaves no file."""
    file, other = tmp_path / "expected.toml", tmp_path / "other.toml"
    file.write_text("mine")

    with pytest.raises(InvalidInput, match="which exists"):
        write_expected(file, judged(FAULTS["NoParentheses"](), None))
    count = write_expected(other, judged(Plain(), None))

    assert file.read_text() == "mine"
    assert count == 0
    assert not other.exists()


@pytest.mark.parametrize(
    "message", ["D[b=0, n=-3] = 0.99 (1 of 6), not nan", "it's 1e+10 + x?", "raised KeyError: 'x1'"]
)
def test_numbers_in_a_message_may_differ(message: str) -> None:
    """The written match finds the message itself, and the same message with other numbers, but no other message."""
    match = ExpectedFailure("known", match=generalised(message))

    failed = LawResult(LAW, "MUST", "error", reason=message)
    statuses = [
        held_against(replace(failed, reason=text), match).status
        for text in (message, message.replace("0.99", "1.25e-07").replace("1e+10", "7"), "another message")
    ]

    assert statuses == ["xfailed", "xfailed", "error"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("expected = 3", "given 'expected' in FILE; accepted: tables [[expected]] alone"),
        ("[[expect]]\nlaw = 'x'", "given 'expect' in FILE; accepted: tables [[expected]] alone"),
        ("[[expected]\n", "given FILE, which is not TOML"),
        (ENTRY + ENTRY, "given decision.forward_is_hard twice in FILE; accepted: one entry a law"),
        (ENTRY.replace("reason", "reson"), "given key 'reson' in FILE, entry 1 (decision.forward_is_hard)"),
        (ENTRY.replace('reason = "known"\n', ""), "given no reason in FILE, entry 1 (decision.forward_is_hard)"),
        (ENTRY.replace('"known"', "3"), "given reason = 3 in FILE, entry 1 (decision.forward_is_hard); accepted: text"),
        (ENTRY.replace('"known"', '" "'), "FILE, entry 1 (decision.forward_is_hard): given reason ' '"),
        (ENTRY.replace('"decision"', '"("'), "accepted: a regular expression"),
        (ENTRY.replace("is_hard", "is_hrd"), "in FILE, entry 1 (decision.forward_is_hrd); accepted: an id that `sdtps"),
        (ENTRY.replace("is_hard", "is_hrd"), "(perhaps decision.forward_is_hard)"),
        (ENTRY + "case = 3", "entry 1 (decision.forward_is_hard): given case 3; accepted: a table of batch"),
        (ENTRY + "case.batch = 3", "given a case without num_tokens, keep, dim, slots"),
        (ENTRY + "case.bach = 3", "given 'bach' in a case; accepted: batch, num_tokens"),
        (ENTRY + "case = {batch=1, num_tokens=2, keep=3, dim=8, slots=1}", "given keep = 3 of num_tokens = 2"),
        (
            ENTRY + "case = {batch=1, num_tokens=2, keep=true, dim=8, slots=1}",
            "given keep = True in a case",
        ),
        (ENTRY + "case = {batch=1, num_tokens=2, keep=1, dim=8, slots=1, tau=0}", "accepted: a number over 0"),
        (ENTRY + "case = {batch=1, num_tokens=2, keep=1, dim=8, slots=1, dtype='int8'}", "accepted: float32, float64"),
        (ENTRY + "case = {batch=1, num_tokens=2, keep=1, dim=8, slots=1, drawn=[1]}", "accepted: none, or batch * num"),
        (ENTRY + "case = {batch=1, num_tokens=2, keep=1, dim=8, slots=1, packed=[1]}", "a list of [scores, tokens"),
    ],
)
def test_a_bad_file_gets_one_line(tmp_path: Path, text: str, says: str) -> None:
    """The line names the file, the entry, what was given and what is accepted."""
    file = tmp_path / "expected.toml"
    file.write_text(text)

    with pytest.raises(InvalidInput) as raised:
        read_expected(file)

    assert says in str(raised.value).replace(str(file), "FILE")
    assert "\n" not in str(raised.value)


def test_a_mapping_is_checked_as_well() -> None:
    """An unknown law in a mapping is refused before any law runs."""
    with pytest.raises(InvalidInput, match=r"given law 'decision.is_nice' in expected_failures"):
        check_implementation(Plain(), expected_failures={"decision.is_nice": "known"})


def test_the_record_keeps_what_was_expected() -> None:
    """Through JSON text and back, reason, match and case of an expectation are all there."""
    packed = (("normal", "normal", 1), ("ties", "constant", 2))
    case = Case(batch=4, num_tokens=9, keep=4, dim=8, slots=2, packed=packed)
    expected = ExpectedFailure("known", match="decision", link="https://example.org/1", case=case)
    written = judged(FAULTS["NoParentheses"](), {LAW: expected})

    record = json.loads(json.dumps(written.to_json()))

    assert record["expected_failures"] == [LAW]
    assert Certificate.from_json(record) == written
    assert result_of(written).expected == expected


TARGET = "sdtps_ref.properties.selftest.planted.selection:SoftForward"


@pytest.mark.slow
def test_the_command_line_from_first_failure_to_green(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--write-expected, a reason, --expected: exit 1, 2 and 0, and the verdict names what is expected to fail."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "expected.toml"
    asked = [TARGET, "--law", LAW, "--in-process"]

    statuses = [main(["certify", *asked, option, str(file)]) for option in ("--write-expected", "--expected")]
    file.write_text(file.read_text().replace('reason = ""', 'reason = "until 2.0"\nlink = "https://example.org/1"'))
    capsys.readouterr()
    statuses.append(main(["certify", *asked, "--expected", str(file)]))

    printed = " ".join(capsys.readouterr().out.split())
    assert "alone, with 1 expected to fail" in printed
    assert f"expected to fail: {LAW}: until 2.0 (https://example.org/1)" in printed
    assert statuses == [1, 2, 0]


@pytest.mark.parametrize("option", ["--write-expected", "--expected"])
def test_files_are_looked_at_before_any_law_runs(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that would be overwritten, or that makes no sense, is one line and exit 2."""
    file = tmp_path / "there.toml"
    file.write_text("x = 1")

    status = main(["certify", TARGET, option, str(file), "--in-process"])

    printed = capsys.readouterr().err
    assert len(printed.splitlines()) == 1
    assert printed.startswith("sdtps certify: given ")
    assert status == 2
