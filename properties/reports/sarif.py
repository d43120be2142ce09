"""SARIF 2.1.0, which code hosts and editors read to show findings beside the code."""

from __future__ import annotations

import json
from typing import Any

from sdtps_ref import __version__
from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.certificates.visible import with_all_visible
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.reports.findings import Finding, findings
from sdtps_ref.properties.reports.wording import section

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(certificate: Certificate) -> str:
    """The certificate's causes as one run, the laws behind them as its rules."""
    certificate = with_all_visible(certificate)
    found = list(findings(certificate))
    kinds = list(dict.fromkeys(finding.cause.kind for finding in found))
    driver = {
        "name": "sdtps",
        "semanticVersion": __version__,
        "rules": [_rule(kind) for kind in kinds],
    }
    run = {
        "tool": {"driver": driver},
        "results": [_result(finding, kinds.index(finding.cause.kind)) for finding in found],
        "invocations": [{"executionSuccessful": certificate.verdict != "error"}],
        "properties": {"verdict": certificate.verdict, "training": certificate.training},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=True) + "\n"


def _rule(kind: str) -> dict[str, Any]:
    if kind not in all_laws():  # a cause that explains several laws, or a law of another version
        return {"id": kind}
    return {
        "id": kind,
        "shortDescription": {"text": section(kind, "Claim")},
        "fullDescription": {"text": section(kind, "Why")},
        "help": {"text": section(kind, "Remedy")},
    }


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.cause.kind,
        "ruleIndex": rule,
        "level": "error" if finding.error else "warning",
        "message": {"text": finding.text},
        "partialFingerprints": {"kind/v1": f"{finding.cause.kind}:{finding.file or ''}"},
    }
    if finding.file is not None:
        region: dict[str, Any] = {"startLine": finding.line}
        if finding.cause.where is not None and finding.cause.where.text:
            region["snippet"] = {"text": finding.cause.where.text}
        place = {"artifactLocation": {"uri": _uri(finding.file)}, "region": region}
        result["locations"] = [{"physicalLocation": place}]
    return result


def _uri(file: str) -> str:
    from urllib.parse import quote

    return f"file://{quote(file)}" if file.startswith("/") else quote(file)
