"""JUnit XML, for CI systems that list tests: one law is one test case.

A SHOULD that was not met does not refuse a certificate, so it is no failure here either, but a test case that was
skipped with a warning: the one outcome beside failure that every reader shows with its message.
"""

from typing import Any

from sdtps_ref.optional_libraries import require
from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.certificates.visible import with_all_visible
from sdtps_ref.properties.reports.wording import MEANINGS, notes, remedy, verdict_words, where, why, word


def junit(certificate: Certificate) -> str:
    """The certificate as one test suite. Raises MissingLibrary without junitparser."""
    junitparser = require("junitparser", "--junit")
    certificate = with_all_visible(certificate)
    suite = junitparser.TestSuite(f"sdtps: {certificate.implementation['name']}")
    suite.add_property("verdict", verdict_words(certificate))
    suite.add_property("where", where(certificate))
    for name, value in certificate.environment.items():
        suite.add_property(name, str(value))
    for number, note in enumerate(notes(certificate.laws), 1):
        suite.add_property(f"note {number}", note)
    for result in certificate.laws:
        stage = result.id.partition(".")[0]
        case = junitparser.TestCase(result.id, classname=f"sdtps.{stage}", time=round(result.seconds, 3))
        case.result = _outcome(junitparser, result)
        suite.add_testcase(case)
    xml = junitparser.JUnitXml("sdtps")
    xml.add_testsuite(suite)
    xml.update_statistics()
    return f"<?xml version='1.0' encoding='utf-8'?>\n{xml.tostring().decode('utf-8')}\n"


def _outcome(junitparser: Any, result: LawResult) -> list[Any]:
    said = word(result)
    if said == "passed":
        return []
    message = f"{said}: {why(result)}" if said in ("warning", "blocked", *MEANINGS) else why(result)
    if said == "error":
        outcome = junitparser.Error(message, (result.failure and result.failure.raised) or "error")
    elif said in ("failed", "xpassed"):
        outcome = junitparser.Failure(message, said)
    else:
        outcome = junitparser.Skipped(message, f"sdtps.{said}")
    if result.failure is not None:
        advice = f"remedy: {remedy(result)}\n" if remedy(result) else ""
        outcome.text = f"{message}\nat {result.failure.case}\n{advice}\n{result.failure.script}"
    return [outcome]
