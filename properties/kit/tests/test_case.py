"""Cases and domains: plain data that lands where a law asked, and covers what the ledger counts."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.case import CLASSES, LAYOUTS, Case
from sdtps_ref.properties.kit.domain import CORNERS, Domain
from sdtps_ref.properties.kit.law import all_laws

DOMAINS = st.builds(
    Domain,
    dtypes=st.sampled_from([("float64",), ("float32", "bfloat16")]),
    scores=st.sampled_from([("distinct",), ("normal", "ties")]),
    modes=st.sampled_from([(True,), (False, True)]),
    min_keep=st.integers(1, 4),
    min_dropped=st.integers(0, 3),
    min_tokens=st.integers(1, 5),
    max_tokens=st.sampled_from([12, 128]),
    draw_tokens=st.sampled_from([8, 300]),
    wide=st.booleans(),
)


def is_inside(case: Case, domain: Domain) -> bool:
    """Whether the case is what the domain promises."""
    return (
        case.dtype in domain.dtypes
        and case.scores in domain.scores
        and case.training in domain.modes
        and domain.min_keep <= case.keep <= case.num_tokens - domain.min_dropped
        and domain.min_tokens <= case.num_tokens <= domain.max_tokens
        and (case.dim > case.keep or not domain.wide)
    )


@settings(max_examples=60, deadline=None)
@given(DOMAINS, st.data())
def test_cases_stay_inside_their_domain(domain: Domain, data: st.DataObject) -> None:
    """Corners and drawn cases obey every bound of the domain."""
    drawn = data.draw(domain.strategy(per_call=data.draw(st.sampled_from([1, 4]))))

    assert all(is_inside(case, domain) for case in domain.corners())
    assert all(is_inside(example, domain) for example in drawn.examples)


@pytest.mark.parametrize("per_call", [1, 4])
def test_no_case_asks_what_no_implementation_can_do(per_call: int) -> None:
    """Score / tau is finite in the case's dtype, whatever is packed together."""

    @settings(max_examples=300, deadline=None, derandomize=True, database=None)
    @given(Domain(dtypes=("float16",), draw_tokens=12).strategy(per_call=per_call))
    def look(case: Case) -> None:
        assert (case.make_score() / case.tau).isfinite().all()

    look()


def test_a_law_sees_only_its_domain() -> None:
    """Every law that is there gets corners inside its own domain."""
    for law in all_laws().values():
        if not law.domain.fixed:
            assert all(is_inside(case, law.domain) for case in law.domain.corners()), law.id


def test_corners_cover_every_class() -> None:
    """A run without a single drawn example hits every class of the ledger."""
    hit = frozenset().union(*(case.classes() for case in CORNERS))

    assert hit == CLASSES


PACKED = Case(6, 5, 2, 4, 2, packed=(("ties", "normal", 3), ("huge", "constant", 4), ("normal", "normal", 5)))


@pytest.mark.parametrize("layout", ["contiguous", "transposed", "sliced"])
def test_a_packed_case_is_its_examples_one_after_another(layout: str) -> None:
    """Along the batch axis, in values, and in what a script writes; its classes are all of theirs."""
    packed = replace(PACKED, layout=layout)

    written = {name: eval(packed.recipe(name), {"torch": torch} | vars(values)) for name in ("tokens", "score")}

    assert [example.batch for example in packed.examples] == [2, 2, 2]
    assert torch.equal(packed.make_score(), torch.cat([example.make_score() for example in packed.examples]))
    assert torch.equal(packed.make_tokens(), torch.cat([example.make_tokens() for example in packed.examples]))
    assert torch.equal(packed.make_score(), written["score"])
    assert torch.equal(packed.make_tokens(), written["tokens"])
    assert packed.classes() == frozenset().union(*(example.classes() for example in packed.examples))


def test_what_a_case_is_made_of_is_nobodys_to_change() -> None:
    """Writing into a case's tensors leaves the next ones alone, in float64 too."""
    case = Case(2, 5, 2, 4, 2, dtype="float64")

    case.make_tokens().zero_()

    assert case.make_tokens().any()


@given(st.sampled_from([*CORNERS, PACKED]))
def test_case_survives_json(case: Case) -> None:
    """A case that was written to JSON is read back as it was."""
    read = Case.from_json(json.loads(json.dumps(case.to_json())))

    assert read == case


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_keep_values(layout: str) -> None:
    """A layout changes strides; only `expanded` changes values, to the first sample's."""
    plain = Case(batch=3, num_tokens=5, keep=2, dim=4, slots=2)
    laid = Case(batch=3, num_tokens=5, keep=2, dim=4, slots=2, layout=layout)

    owed = plain.make_tokens()[:1].expand(3, -1, -1) if layout == "expanded" else plain.make_tokens()

    assert torch.equal(laid.make_tokens(), owed)
    assert laid.make_tokens().is_contiguous() == (layout == "contiguous")
