"""A stored certificate, read with suspicion: whatever is wrong with the file is said in one line."""

import json
from pathlib import Path
from typing import Any

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.certificates import schema
from sdtps_ref.properties.certificates.certificate import SCHEMA_VERSION, Certificate, digest
from sdtps_ref.properties.certificates.consistency import contradiction
from sdtps_ref.visible import visible

LARGEST = 20_000_000  # bytes; a certificate has about 40,000
LONGEST = 20  # digits of a whole number; the largest ones are seeds


class BadCertificate(SDTPSError):
    """A file that is no certificate, or no longer what was written; the message is one line."""


def read_certificate(path: Path) -> Certificate:
    """The certificate in the file. Raises BadCertificate, and MissingLibrary without jsonschema.

    Checked in this order: that it is JSON, of a certificate, of a schema that this version knows and as that schema
    has it; that its digest is that of its content; that it does not contradict itself. The digest tells damage and
    careless edits; who rewrites it too is told by `sdtps verify --rerun` alone.
    """
    record = _parsed(path)
    if not isinstance(record, dict) or not {"laws", "environment", "implementation"} <= set(record):
        raise BadCertificate(_about(path, "is JSON, but no certificate of sdtps"))
    if record.get("schema") != SCHEMA_VERSION:
        given = record.get("schema")
        raise BadCertificate(_about(path, f"has schema {given!r}; accepted: {SCHEMA_VERSION!r}"))
    found = digest(record)
    problem = schema.problem(record, "reading a certificate")
    if problem:
        raise BadCertificate(_about(path, f"is not as the schema has it: {problem}"))
    if record["sha256"] != found:
        stated = record["sha256"]
        raise BadCertificate(
            _about(
                path, f"was changed after it was written: it states sha256 {stated[:12]}..., but has {found[:12]}..."
            )
        )
    problem = contradiction(record)
    if problem:
        raise BadCertificate(_about(path, f"contradicts itself: {problem}"))
    return Certificate.from_json(record)


def _parsed(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST:
            raise BadCertificate(_about(path, f"has {path.stat().st_size} bytes; accepted: {LARGEST} at most"))
        return json.loads(path.read_bytes(), parse_constant=_no_number, parse_int=_whole_number)
    except OSError as error:
        raise BadCertificate(_about(path, f"cannot be read: {error.strerror or error}")) from error
    except json.JSONDecodeError as error:
        whole = "ends in the middle" if not path.read_bytes()[error.pos :].strip() else "is not JSON"
        raise BadCertificate(_about(path, f"{whole} (line {error.lineno}, column {error.colno})")) from error
    except (ValueError, RecursionError) as error:
        raise BadCertificate(_about(path, f"is not JSON: {error}")) from error


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _whole_number(text: str) -> int:
    if len(text) > LONGEST:
        raise ValueError(f"a number of {len(text)} digits; accepted: {LONGEST} at most")
    return int(text)


def _about(path: Path, what: str) -> str:
    return " ".join(visible(f"{path} {what}").split())
