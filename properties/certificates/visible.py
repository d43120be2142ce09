"""What a subject calls itself or says when it raises, made safe to write down: nothing invisible is left in it."""

import unicodedata
from typing import Any

from sdtps_ref.properties.certificates.certificate import Certificate

KEPT = "\n\t"
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control, format (right to left, zero width), surrogates, private, unassigned


def visible(text: str) -> str:
    """The text with every character that cannot be seen, or that no file can hold, written as its escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character in KEPT or unicodedata.category(character) not in UNSEEN
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def with_all_visible(certificate: Certificate) -> Certificate:
    """The certificate with every text in it made visible. Its digest is then no longer the record's."""
    return Certificate.from_json(_each(certificate.to_json()))


def _each(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(name): _each(part) for name, part in value.items()}
    return [_each(part) for part in value] if isinstance(value, list | tuple) else value
