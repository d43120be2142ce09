"""The measure of causes: what counts as right, and what is taken for what."""

from dataclasses import replace
from pathlib import Path

from sdtps_ref.properties.certificates.cause import Cause
from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.engine.causes.hypotheses import ALL
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.maintenance import causes_record
from sdtps_ref.properties.selftest.causes import confusions, share_right, told_of
from sdtps_ref.properties.selftest.planted_causes import PLANTED_CAUSES

HARD_ONLY, LOWEST = "soft_mask.missing", "ranking.ascending"


def saying(*causes: Cause) -> Certificate:
    """A certificate with these causes."""
    return Certificate({}, {}, (), causes=causes)


def cause(kind: str, other: str = "") -> Cause:
    """A cause of that kind; other: of the explanation that it is one of two with."""
    return replace(Cause(kind, kind, ()), alternative_kind=other)


def test_the_first_cause_counts() -> None:
    """Right alone, one of two, among the later ones, another one, none at all."""
    told = told_of(
        {
            "HardOnly": saying(cause(HARD_ONLY)),
            "KeepsLowest": saying(cause(HARD_ONLY, other=LOWEST)),
            "SoftForward": saying(cause(LOWEST), cause("decision.soft_forward")),
            "NoParentheses": saying(cause(LOWEST)),
            "WeakMask": saying(),
        }
    )

    assert [each.verdict for each in told] == ["right", "one of two", "later", "wrong", "wrong"]
    assert share_right(told) == 2 / 5
    assert confusions(told)["decision.rounding", LOWEST] == ["NoParentheses"]
    assert ("mask.weak", "no cause") in confusions(told)


def test_a_fault_without_a_planted_cause_is_left_out() -> None:
    """What nobody wrote down cannot be measured, and does not count as right."""
    assert told_of({"Unheard": saying(cause(LOWEST))}) == []


def test_planted_causes_can_be_said() -> None:
    """Every planted cause is the kind of a hypothesis, or the id of a law: otherwise none could ever be right."""
    kinds = {each.kind for each in ALL} | set(all_laws())

    assert set(PLANTED_CAUSES.values()) - kinds == set()


def test_the_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """What the page is made from loses nothing on its way through a file."""
    told = told_of({"HardOnly": saying(cause(HARD_ONLY, "x"), cause("y"), cause("z"))})
    file = tmp_path / "causes.json"
    file.write_text(causes_record.written(told))

    assert causes_record.read(file) == told
