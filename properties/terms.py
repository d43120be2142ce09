"""On what terms an implementation is judged: how hard to look, with which seed, on which device."""

from dataclasses import dataclass

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.law import Budget


@dataclass(frozen=True)
class Profile:
    """How hard to look. examples: drawn a law, after the corners. shrink: look for the smallest failing case.

    minimum: examples that must have said something about a law before it counts as passed. budgets: laws
    that take their time from another one are skipped.
    """

    name: str
    examples: int
    minimum: int
    shrink: bool = True
    budgets: tuple[Budget, ...] = ("eager",)


ALL_BUDGETS: tuple[Budget, ...] = ("eager", "compile", "distributed")
PROFILES = {
    p.name: p
    for p in (
        Profile("quick", 12, 10),
        Profile("ci", 100, 60, budgets=ALL_BUDGETS),
        Profile("deep", 1000, 500, budgets=ALL_BUDGETS),
    )
}


@dataclass(frozen=True)
class Terms:
    """On what terms laws are judged; the arguments of `check_implementation`.

    named: ids that were asked for one by one, which are judged whatever the profile has time for.
    """

    profile: Profile
    seed: int = 0
    device: str = "cpu"
    target: str | None = None
    named: tuple[str, ...] = ()


def named_profile(profile: str | Profile) -> Profile:
    """The profile of that name. Raises InvalidInput for a name that is none."""
    if isinstance(profile, Profile):
        return profile
    if profile not in PROFILES:
        raise InvalidInput.given(f"profile={profile!r}", ", ".join(PROFILES))
    return PROFILES[profile]
