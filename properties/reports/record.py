"""The record itself, as JSON."""

import json

from sdtps_ref.properties.certificates.certificate import Certificate


def record(certificate: Certificate) -> str:
    """What `certificate.schema.json` describes; every parser takes it, since no number in it is NaN or infinite."""
    return json.dumps(certificate.to_json(), indent=2, allow_nan=False) + "\n"
