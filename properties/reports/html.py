"""One self-contained page: the verdict, what failed and why, plots, every law, and on what it all rests."""

from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.certificates.visible import with_all_visible
from sdtps_ref.properties.reports import console, wording
from sdtps_ref.properties.reports.page import render
from sdtps_ref.properties.reports.plots import plots


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
        counts=wording.counts(certificate.laws),
        ledger=console.ledger(certificate),
        notes=wording.notes(certificate.laws),
        remarkable=list(wording.remarkable(certificate)),
        stages=stages,
        plots=plots(certificate),
        wording=wording,
        digest=digest,
    )
