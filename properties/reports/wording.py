"""The words that every report uses for what became of a law, and what the law itself has to say."""

from collections.abc import Iterator

from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
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
    from sdtps_ref.properties.reports.console import verdict_line

    return verdict_line(certificate).plain


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
