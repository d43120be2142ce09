"""Write down the failures of a certificate, so that they can be expected from now on."""

import re
from pathlib import Path

import tomlkit

from sdtps_ref.errors import InvalidInput
from sdtps_ref.output_files import write_new
from sdtps_ref.output_paths import check_writable
from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.certificates.expected import TABLE

HEADER = """\
Laws that are expected to fail: `sdtps certify TARGET --expected FILE`.
Fill in each reason: an empty one is refused. A link is optional.
match is a regular expression, found in the failure's message; case is tried first.
Take an entry out as soon as its law passes; until then the certificate is refused."""

NUMBER = r"(?<![\w.])-?(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?|nan|inf)(?!\w)"


def check_new(path: Path) -> None:
    """Raises InvalidInput where `write_expected` could not write: said before any law runs."""
    if path.exists():
        raise InvalidInput.given(f"{path}, which exists", "a file that does not; reasons may be in this one")
    check_writable(f"{path}", path)


def write_expected(path: Path, certificate: Certificate) -> int:
    """Write an entry for every MUST that failed and return how many; no file where there are none.

    Reasons are left empty: only a person knows them. Raises InvalidInput rather than overwrite a file.
    """
    failed = [result for result in certificate.laws if result.refuses and result.failure]
    if not failed:
        return 0
    check_new(path)
    document = tomlkit.document()
    for line in HEADER.splitlines():
        document.add(tomlkit.comment(line))
    entries = tomlkit.aot()
    for result in failed:
        entries.append(_entry(result, certificate.environment["device"]))
    document.add(tomlkit.nl())
    document.add(TABLE, entries)
    write_new(path, tomlkit.dumps(document))
    return len(failed)


def generalised(message: str) -> str:
    """A regular expression for the message's first line, whatever numbers stand in it: those differ by machine."""
    parts = re.split(NUMBER, message.splitlines()[0])
    # re.escape shields more than a regular expression needs; these read better bare.
    plain = (re.sub(r"\\([ \-#&~])", r"\1", re.escape(part)) for part in parts)
    return r"\S+".join(plain)


def _entry(result: LawResult, device: str) -> tomlkit.items.Table:
    assert result.failure is not None
    entry = tomlkit.table()
    entry.add("law", result.id)
    entry.add("reason", "")
    match = generalised(result.failure.message)
    entry.add("match", tomlkit.string(match, literal="'" not in match))
    entry.add("case", result.failure.case.portable(device).to_json())
    return entry
