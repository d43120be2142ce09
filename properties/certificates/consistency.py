"""Whether a record agrees with itself: what is derived in it follows from what it was derived from."""

from collections.abc import Iterator
from typing import Any

from sdtps_ref import __version__
from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.kit.law import all_laws

DERIVED = ("verdict", "level", "expected_failures", "diagnosis", "tried")
UNJUDGED = ("skipped", "blocked")


def contradiction(record: dict[str, Any]) -> str | None:
    """The first contradiction in a record that is as the schema has it, in words; None where there is none."""
    return next(_contradictions(record, Certificate.from_json(record)), None)


def _contradictions(record: dict[str, Any], certificate: Certificate) -> Iterator[str]:
    ids = [result.id for result in certificate.laws]
    yield from (f"{law_id} is in it twice" for law_id in ids if ids.count(law_id) > 1)
    for result in certificate.laws:
        yield from _of_law(result, {r.id: r for r in certificate.laws})
    derived = certificate.to_json()
    for name in DERIVED:
        if record.get(name) != derived.get(name):
            yield f"its {name} is {record.get(name)!r}, but by its laws it is {derived.get(name)!r}"
    both = set(record["tried"]) & set(record["not_tried"])
    yield from (f"{name} was tried and was not" for name in sorted(both))
    if certificate.environment["suite"] == __version__:  # another version may have other laws
        yield from _of_this_version(certificate)


def _of_law(result: LawResult, others: dict[str, LawResult]) -> Iterator[str]:
    if result.status == "failed" and result.failure is None:
        yield f"{result.id} failed, but no failure is told"
    if result.status == "passed" and result.failure is not None:
        yield f"{result.id} passed, but a failure is told"
    if result.status == "passed" and not result.examples:
        yield f"{result.id} passed on no example"
    if result.status in UNJUDGED and (result.examples or not result.reason):
        yield f"{result.id} was {result.status}, but {'was judged' if result.examples else 'no reason is told'}"
    case = result.failure.case if result.failure else None
    if case and len(case.drawn) not in (0, case.batch * case.num_tokens):
        yield f"{result.id} has {len(case.drawn)} drawn scores for {case.batch} samples of {case.num_tokens} tokens"
    if case and case.packed and case.batch % len(case.packed):
        yield f"{result.id} has a batch of {case.batch} in {len(case.packed)} equal parts"
    seen = result.evidence.get("decision", {})
    for name in ("decision", "score", "jacobian"):
        if len({len(row) for row in seen.get(name, [])}) > 1:
            yield f"{result.id} has rows of several lengths in its {name}"


def _of_this_version(certificate: Certificate) -> Iterator[str]:
    known, given = all_laws(), {result.id: result for result in certificate.laws}
    for law_id, result in given.items():
        if law_id not in known:
            yield f"{law_id} is no law of version {__version__}"
        elif known[law_id].level != result.level:
            yield f"{law_id} is a {result.level} in it, but a {known[law_id].level} in version {__version__}"
        elif result.status == "blocked":
            foundations = [given[name].status for name in known[law_id].depends if name in given]
            if all(status in ("passed", "skipped") for status in foundations) and foundations:
                yield f"{law_id} was blocked, but all that it rests on passed"
    if certificate.environment["laws"] == "all" and not certificate.environment.get("shard"):
        methods = certificate.implementation["methods"]
        lacking = [law.id for law in known.values() if law.id not in given and law.speaks_of(methods)]
        if lacking:
            yield f"it was held to all laws, but {', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not in it"
