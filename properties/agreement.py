"""From the arguments of a call or the options of a command to the terms of a judgement."""

import secrets

from sdtps_ref.properties.example_database import GivenDatabase, shared_examples
from sdtps_ref.properties.expected import GivenExpected, read_expected
from sdtps_ref.properties.terms import EXAMPLES, Profile, Terms, named_profile

FRESH_SEEDS = 1 << 16


def agreed(
    profile: str | Profile,
    seed: int | None = None,
    device: str = "cpu",
    *,
    target: str | None = None,
    laws: tuple[str, ...] | None = None,
    shard: tuple[int, int] | None = None,
    expected_failures: GivenExpected | None = None,
    database: GivenDatabase | None = None,
) -> Terms:
    """The terms that these come to; see `check_implementation`.

    Raises InvalidInput, before any law runs, for an unknown profile or law, expected failures that make no sense, or
    a database out of reach.
    """
    chosen = named_profile(profile)
    if seed is None:
        seed = secrets.randbelow(FRESH_SEEDS) if chosen.explores else 0
    terms = Terms(chosen, seed, device, target, laws, shard, read_expected(expected_failures))
    terms.selected()
    examples = shared_examples(database, EXAMPLES if chosen.explores else None)
    return Terms(chosen, seed, device, target, laws, shard, terms.expected, examples)
