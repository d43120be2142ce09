"""A certificate made safe to show: whatever the subject called itself or said is text that can be seen."""

from typing import Any

from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.visible import visible, visible_lines

__all__ = ["visible", "with_all_visible"]

IN_LINES = ("script", "traceback")  # what has lines of its own; all else is on one


def with_all_visible(certificate: Certificate) -> Certificate:
    """The certificate with every text in it made visible. Its digest is then no longer the record's."""
    return Certificate.from_json(_each(certificate.to_json()))


def _each(value: Any, name: str = "") -> Any:
    if isinstance(value, str):
        return visible_lines(value) if name in IN_LINES else visible(value)
    if isinstance(value, dict):
        return {visible(key): _each(part, key) for key, part in value.items()}
    return [_each(part, name) for part in value] if isinstance(value, list | tuple) else value
