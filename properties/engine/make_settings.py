"""From the arguments of a call or the options of a command to the settings of a run."""

import secrets

from sdtps_ref.properties.certificates.expected import GivenExpected, read_expected
from sdtps_ref.properties.engine.device import check_device
from sdtps_ref.properties.engine.example_database import GivenDatabase, shared_examples
from sdtps_ref.properties.engine.settings import EXAMPLES, Profile, RunSettings, named_profile

FRESH_SEEDS = 1 << 16


def make_settings(
    profile: str | Profile,
    seed: int | None = None,
    device: str = "cpu",
    *,
    target: str | None = None,
    laws: tuple[str, ...] | None = None,
    shard: tuple[int, int] | None = None,
    expected_failures: GivenExpected | None = None,
    database: GivenDatabase | None = None,
) -> RunSettings:
    """The settings that these come to; see `check_implementation`.

    Raises InvalidInput, before any law runs, for an unknown profile, law or device, invalid expected failures, or an
    unreachable database.
    """
    chosen = named_profile(profile)
    check_device(device)
    if seed is None:
        seed = secrets.randbelow(FRESH_SEEDS) if chosen.explores else 0
    settings = RunSettings(chosen, seed, device, target, laws, shard, read_expected(expected_failures))
    settings.selected()
    examples = shared_examples(database, EXAMPLES if chosen.explores else None)
    return RunSettings(chosen, seed, device, target, laws, shard, settings.expected, examples)
