"""Certificates of shards, put together into the certificate of the whole."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.kit.law import all_laws

# The worst first. A law that several shards judged, because others rest on it, came to the worst that any saw:
# an accusation with a failing case is not taken back by a shard that did not come upon it.
WORST = ("error", "failed", "xpassed", "xfailed", "passed", "blocked", "skipped")


class CannotJoin(SDTPSError):
    """Certificates that do not belong together, or of which one is missing; the message is one line."""


def join_shards(certificates: Iterable[Certificate]) -> list[Certificate]:
    """The certificates, those of shards of one implementation in one environment put together.

    A certificate that is no shard stays as it is. Raises CannotJoin where a shard is missing or given twice.
    """
    whole: list[Certificate] = []
    parted: dict[str, list[Certificate]] = {}
    for certificate in certificates:
        if parts_of(certificate):
            parted.setdefault(repr(_belongs_to(certificate)), []).append(certificate)
        else:
            whole.append(certificate)
    return whole + [_joined(shards) for shards in parted.values()]


def _belongs_to(certificate: Certificate) -> list[Any]:
    """What all shards of a whole share."""
    name, sha256 = certificate.implementation["name"], certificate.implementation["sha256"]
    environment = {key: value for key, value in certificate.environment.items() if key != "shard"}
    return [name, sha256, _parts(certificate)[1], sorted(environment.items())]


def parts_of(certificate: Certificate) -> tuple[int, int] | None:
    """Which shard of how many it is; None for a whole certificate."""
    first, _, count = (certificate.environment.get("shard") or "").partition("/")
    return (int(first), int(count)) if count else None


def _parts(shard: Certificate) -> tuple[int, int]:
    parts = parts_of(shard)
    assert parts is not None
    return parts


def _joined(shards: Sequence[Certificate]) -> Certificate:
    count = _parts(shards[0])[1]
    given = [_parts(shard)[0] for shard in shards]
    name = shards[0].implementation["name"]
    missing = [f"{part}/{count}" for part in range(1, count + 1) if part not in given]
    if missing:
        raise CannotJoin(f"of {name}, shard {', '.join(missing)} is missing; accepted: all {count} of one environment")
    twice = sorted({f"{part}/{count}" for part in given if given.count(part) > 1 or part > count})
    if twice:
        raise CannotJoin(f"of {name}, shard {', '.join(twice)} is given twice or beyond the last; accepted: each once")
    results: dict[str, LawResult] = {}
    for result in (result for shard in shards for result in shard.laws):
        other = results.get(result.id)
        if other is None or WORST.index(result.status) < WORST.index(other.status):
            results[result.id] = result
    files: dict[str, str] = {}
    for shard in shards:
        read = shard.implementation["files"]
        if changed := [path for path in read if files.get(path, read[path]) != read[path]]:
            raise CannotJoin(f"of {name}, {changed[0]} is not the same file in every shard; accepted: one state")
        files |= read
    order = [law_id for law_id in all_laws() if law_id in results]
    order += [law_id for law_id in results if law_id not in order]
    return replace(
        shards[0],
        implementation=shards[0].implementation | {"files": files},
        environment=shards[0].environment | {"shard": None},
        laws=tuple(results[law_id] for law_id in order),
        seconds=sum(shard.seconds for shard in shards),
    )
