"""The words that every report uses for what became of a law, and what the law itself has to say."""

from collections.abc import Iterable, Iterator

from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.certificates.level import NOT_RUN
from sdtps_ref.properties.kit.law import all_laws

# good, bad, warn, off: the classes of page.css
TONES = {
    "passed": "good",
    "warning": "warn",
    "failed": "bad",
    "error": "bad",
    "xpassed": "bad",
    "blocked": "warn",
    "xfailed": "off",
    "skipped": "off",
}
# What each of the contract's methods shows; of names joined by `|` one suffices.
PARTS = {
    "selector": "the selection and its D",
    "aggregator": "the pooling and its mask",
    "pipeline": "whether D reaches the pooling",
    "model|multimodal": "the model",
}
MEANINGS = {
    "xfailed": "failed, as was expected",
    "xpassed": "passed, though it was expected to fail",
}
SCRIPT_WAS = {True: "run, and it shows this", False: "run, and it does NOT show this", None: "shows the calls"}


def word(result: LawResult) -> str:
    """What became of a law, in one word: its status, or `warning` for a SHOULD that was not met."""
    return "warning" if result.warns else result.status


def verdict_words(certificate: Certificate) -> str:
    """CERTIFIED with its level, REFUSED with the laws, or that nothing was measured."""
    if certificate.verdict == "certified":
        asked_for, shard = certificate.environment["laws"], certificate.environment["shard"]
        level = f"level {certificate.level}{left_out(certificate)}"
        if certificate.is_whole and not certificate.level:
            return _in_part(certificate)
        if asked_for != "all":
            level = f"in part: by {', '.join(asked_for)} alone"
        elif shard:
            level = f"in part: shard {shard}; `sdtps merge` joins the others"
        if certificate.expected_failures and not certificate.level:
            level += f", with {len(certificate.expected_failures)} expected to fail"
        return f"CERTIFIED, {level}"
    if meddling := certificate.implementation.get("meddling"):
        return f"REFUSED: {meddling[0]}"
    if certificate.verdict == "refused":
        return f"REFUSED by {', '.join(r.id for r in certificate.laws if r.refuses)}"
    late = [result for result in certificate.laws if result.reason.startswith(NOT_RUN) or result.out_of_time]
    late.sort(key=lambda result: result.out_of_time)  # stable: the run's own reason is the one that is told
    if late and any(result.status == "passed" for result in certificate.laws):
        return f"NOT FINISHED, {len(late)} of {len(certificate.laws)} laws {why(late[0]).removeprefix('it ')}"
    errors = [result for result in certificate.laws if result.status == "error"]
    if certificate.implementation["methods"] == ["call"] and not errors:
        return (
            "NOTHING TO CERTIFY: no decision that carries a gradient was seen; what chooses the tokens is trained "
            "elsewhere, or not at all"
        )
    roots = errors or certificate.laws
    reasons = {r.failure.message if r.failure else r.reason for r in roots}
    nothing = "PASSED" if any(r.status == "xfailed" for r in certificate.laws) else "MEASURED"
    return f"NOTHING {nothing}: {'; '.join(sorted(reasons))}"


def left_out(certificate: Certificate) -> str:
    """What a certificate of all laws says nothing about, as the end of its headline."""
    seen = set(certificate.measured)
    parts = [] if "call" in seen else [words for one, words in PARTS.items() if not seen & set(one.split("|"))]
    blocked = sum(result.status == "blocked" for result in certificate.laws)
    said = f"; not looked at: {', '.join(parts)}" if parts else ""
    return said + (f"; {blocked} of {len(certificate.laws)} laws never judged" if blocked else "")


def _in_part(certificate: Certificate) -> str:
    if "call" in certificate.implementation["methods"] and "call" not in certificate.measured:
        return "certified in part: no decision that carries a gradient was seen"
    passed = sum(result.status == "passed" for result in certificate.laws)
    expected = len(certificate.expected_failures)
    besides = f", with {expected} expected to fail" if expected else ""
    return f"certified in part, by {passed} of {len(certificate.laws)} laws{besides}{left_out(certificate)}"


def why(result: LawResult) -> str:
    """Why a law is not simply passed: its failure's message, or the reason it was skipped or blocked."""
    return result.failure.message if result.failure is not None else result.reason


def expectation(result: LawResult) -> str:
    """Why a law was expected to fail, with the link to more; empty where it was not."""
    if result.expected is None:
        return ""
    link = f" ({result.expected.link})" if result.expected.link else ""
    return f"expected to fail: {result.expected.reason}{link}"


def remarkable(certificate: Certificate) -> Iterator[LawResult]:
    """The laws that a reader looks at first: those that failed, or that did what was not expected."""
    return (result for result in certificate.laws if result.status in ("failed", "error", "xfailed", "xpassed"))


def unjudged(certificate: Certificate) -> Iterator[LawResult]:
    """The laws that were skipped or blocked."""
    return (result for result in certificate.laws if result.status in ("skipped", "blocked"))


def counts(results: Iterable[LawResult]) -> str:
    """How many laws came to what."""
    tally: dict[str, int] = {}
    for result in results:
        tally[word(result)] = tally.get(word(result), 0) + 1
    return ", ".join(f"{count} {status}" for status, count in tally.items())


def notes(results: Iterable[LawResult]) -> list[str]:
    """What the implementation did besides, each with how many laws saw it."""
    seen: dict[str, int] = {}
    for note in (note for result in results for note in result.notes):
        seen[note] = seen.get(note, 0) + 1
    return [f"{note} (in {count} laws)" if count > 1 else note for note, count in seen.items()]


def section(law_id: str, name: str) -> str:
    """A section of a law's own text (Claim, Why, Breaks when, Remedy) in one line.

    Empty for a law that this version does not know, which a stored record may name.
    """
    law = all_laws().get(law_id)
    return " ".join(law.sections[name].split()) if law else ""


def remedy(result: LawResult) -> str:
    """What the law advises; empty where the process was lost on it, which is no matter of this law."""
    lost = result.failure is not None and not result.failure.script
    return "" if lost else section(result.id, "Remedy")


def told(value: object) -> str:
    """A finding of the diagnosis as it is printed."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def where(certificate: Certificate) -> str:
    """On what and how it was measured, in one line."""
    at = certificate.environment
    shard = f", shard {at['shard']}" if at.get("shard") else ""
    return f"torch {at['torch']}, {at['device']}, profile {at['profile']}, seed {at['seed']}{shard}"
