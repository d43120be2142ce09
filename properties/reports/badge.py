"""A badge: what the endpoint of shields.io reads (https://shields.io/badges/endpoint-badge)."""

import json

from sdtps_ref.properties.certificates.certificate import Certificate


def badge(certificate: Certificate) -> str:
    """One JSON object: certified with its level in green, refused in red, not measured in grey.

    The green is paler where it was certified in part, and yellow with failures that were expected, which then says how
    much was never judged.
    """
    level = certificate.level or "in part"
    whole = certificate.level is not None and not certificate.expected_failures
    blocked = sum(result.status == "blocked" for result in certificate.laws)
    level += f", {blocked} laws never judged" if blocked else ""
    paler = "yellow" if certificate.expected_failures or blocked else "yellowgreen"
    message, colour = {
        "certified": (f"certified, {level}", "brightgreen" if whole else paler),
        "refused": ("refused", "red"),
        "error": ("not measured", "lightgrey"),
    }[certificate.verdict]
    endpoint = {"schemaVersion": 1, "label": "sdtps", "message": message, "color": colour}
    if certificate.verdict != "certified":
        endpoint["isError"] = True
    return json.dumps(endpoint) + "\n"
