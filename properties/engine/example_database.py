"""Failing cases that many machines share, through hypothesis's example databases: a directory, Redis, or several.

What is stored is the case and not hypothesis's own choices: a case is read by every version of hypothesis, by laws
that draw otherwise, and by people. The key is the law alone, because a case on which one implementation failed is
a good first case for the next. Nothing is deleted when an implementation passes on it; Redis forgets what nobody
asked for in eight days.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.case_json import stored_case

ACCEPTED = "a directory, redis://host:port/db, rediss://host:port/db, or none"
NONE = "none"
SCHEMES = ("redis", "rediss")
MOST = 20  # cases that are taken from it for one law, the smallest first
SECONDS = 5  # for an answer of Redis
PREFIX = b"sdtps-example:"

GivenDatabase = str | Path | Iterable[str | Path]


class SharedExamples:
    """Databases of failing cases. One that stops answering is left out from then on, and `lost` says why."""

    def __init__(self, addresses: tuple[str, ...]):
        """addresses: directories or Redis URLs. Raises InvalidInput for one that cannot be reached."""
        self.addresses = addresses
        self.lost: tuple[str, ...] = ()
        self._reached = {address: _opened(address) for address in addresses}

    def cases(self, law_id: str) -> list[Case]:
        """Cases on which some implementation broke this law, the smallest first."""
        found: set[Case] = set()
        for address, database in list(self._reached.items()):
            try:
                stored = list(database.fetch(_key(law_id)))
            except Exception as error:  # each backend has exceptions of its own
                self._lose(address, error)
                continue
            found.update(case for case in map(_read, stored) if case is not None)
        return sorted(found)[:MOST]

    def remember(self, law_id: str, case: Case) -> None:
        """Keep a case on which an implementation broke this law."""
        content = json.dumps(case.to_json(), sort_keys=True).encode()
        for address, database in list(self._reached.items()):
            try:
                database.save(_key(law_id), content)
            except Exception as error:
                self._lose(address, error)

    def _lose(self, address: str, error: Exception) -> None:
        if self._reached.pop(address, None):  # laws that run at once may all notice
            self.lost += (f"without the example database {shown(address)} from here on: {error}",)


def shared_examples(given: GivenDatabase | None, default: str | None = None) -> SharedExamples | None:
    """The databases at these addresses, reached; `default` where None is given, and none where "none" is.

    Raises InvalidInput, in one line, for an address that is none or that cannot be reached.
    """
    if given is None:
        given = default or ()
    addresses = tuple(map(str, (given,) if isinstance(given, (str, Path)) else given))
    if NONE in addresses and len(addresses) > 1:
        raise InvalidInput.given(f"database {' and '.join(map(shown, addresses))}", "none, or those alone")
    return SharedExamples(addresses) if addresses and addresses != (NONE,) else None


def shown(address: str) -> str:
    """The address as reports print it, without what is before the host: it may hold a password."""
    if "://" not in address:
        return address
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _opened(address: str) -> ExampleDatabase:
    scheme, separator, _ = address.partition("://")
    if not separator:
        return _directory(address)
    if scheme not in SCHEMES:
        raise InvalidInput.given(f"database {shown(address)}", ACCEPTED)
    return _redis(address)


def _directory(address: str) -> ExampleDatabase:
    try:
        folder = Path(address)
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / ".writable"  # permissions alone do not tell: the disk may be read-only, or full
        trial.write_bytes(b"")
        trial.unlink()
    except OSError as error:
        raise InvalidInput.given(f"database {address} ({error.strerror})", "a directory that can be written") from error
    return DirectoryBasedExampleDatabase(folder)


def _redis(address: str) -> ExampleDatabase:
    try:
        from hypothesis.extra.redis import RedisExampleDatabase
        from redis import Redis, RedisError
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        lacking = f"database {shown(address)}, but the package redis is not installed"
        raise InvalidInput.given(lacking, "after pip install 'sdtps-ref[redis]'; or a directory") from error
    if not urlsplit(address).path.strip("/").isdecimal() and urlsplit(address).path.strip("/"):
        raise InvalidInput.given(f"database {shown(address)}", "redis://host:port/db, where db is a number")
    try:
        at_once = Retry(NoBackoff(), 0)
        redis = Redis.from_url(address, socket_connect_timeout=SECONDS, socket_timeout=SECONDS, retry=at_once)
        redis.ping()
    except (RedisError, ValueError, OSError) as error:
        unreached = f"database {shown(address)}, which cannot be reached ({error})"
        raise InvalidInput.given(unreached, "a Redis server that answers") from error
    return RedisExampleDatabase(redis, key_prefix=PREFIX)


def _key(law_id: str) -> bytes:
    return law_id.encode()


def _read(content: bytes) -> Case | None:
    """The case; None for what another version wrote in a form that this one does not know."""
    try:
        return stored_case(json.loads(content))
    except ValueError:  # InvalidInput is one, and so are JSON's and Unicode's errors
        return None
