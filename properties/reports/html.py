"""One self-contained page: the verdict, what failed and why, plots, every law, and on what it all rests."""

from sdtps_ref.properties import report
from sdtps_ref.properties.certificate import Certificate, LawResult
from sdtps_ref.properties.reports import wording
from sdtps_ref.properties.reports.page import render
from sdtps_ref.properties.reports.plots import plots
from sdtps_ref.properties.reports.visible import with_all_visible


def html(certificate: Certificate) -> str:
    """The page. Raises MissingLibrary without jinja2 or matplotlib."""
    digest = certificate.to_json()["sha256"]
    certificate = with_all_visible(certificate)
    stages: dict[str, list[LawResult]] = {}
    for result in certificate.laws:
        stages.setdefault(result.id.partition(".")[0], []).append(result)
    return render(
        "sdtps_ref.properties.reports",
        "certificate.html",
        certificate=certificate,
        given=certificate.implementation,
        at=certificate.environment,
        verdict=wording.verdict_words(certificate),
        tone={"certified": "good", "refused": "bad", "error": "warn"}[certificate.verdict],
        counts=report.counts(certificate.laws),
        ledger=report.ledger(certificate),
        notes=report.notes(certificate.laws),
        remarkable=list(wording.remarkable(certificate)),
        stages=stages,
        plots=plots(certificate),
        wording=wording,
        digest=digest,
    )
