"""With what settings an implementation is judged: how hard to look, with which seed, on which device."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.kit.cost import ALL_BUDGETS, CostClass

if TYPE_CHECKING:
    from sdtps_ref.properties.certificates.expected import ExpectedFailure
    from sdtps_ref.properties.engine.example_database import SharedExamples
    from sdtps_ref.properties.kit.law import Law

EXAMPLES = ".sdtps/examples"  # where a profile that explores keeps what it finds, in the current folder


@dataclass(frozen=True)
class Profile:
    """How hard to look. examples: drawn a law, after the corners. shrink: look for the smallest failing case.

    minimum: examples that must have said something about a law before it counts as passed. budgets: laws
    that take their time from another one are skipped. seconds: after which a law is given up, many times
    what the slowest one takes. whole: seconds after which what is left of a run is not run any more. explores: every
    run draws other cases, unless it is given a seed, and keeps the failing ones in the folder EXAMPLES, unless it is
    given a database; otherwise every run draws the same.
    """

    name: str
    examples: int
    minimum: int
    seconds: float = 60
    shrink: bool = True
    budgets: tuple[CostClass, ...] = ("eager",)
    explores: bool = False
    whole: float | None = None


PROFILES = {
    p.name: p
    for p in (
        # A minute at most, with the start, the scripts and the end of what hangs.
        Profile("quick", 12, 10, seconds=15, whole=40),
        Profile("ci", 100, 60, seconds=300, budgets=ALL_BUDGETS),
        Profile("deep", 1000, 500, seconds=3000, budgets=ALL_BUDGETS, explores=True),
    )
}


@dataclass(frozen=True)
class RunSettings:
    """With what settings laws are judged; the arguments of `check_implementation`.

    laws: ids or stages, None for all of them; a law that is named by its id is judged whatever the profile
    has time for. shard: (i, n) for every n-th law from the i-th on, counted from 1, with what it rests on.
    expected: by law id, what the implementation is known to break. examples: failing cases that are shared.
    """

    profile: Profile
    seed: int = 0
    device: str = "cpu"
    target: str | None = None
    laws: tuple[str, ...] | None = None
    shard: tuple[int, int] | None = None
    expected: "Mapping[str, ExpectedFailure]" = field(default_factory=dict)
    examples: "SharedExamples | None" = None

    def selected(self) -> "dict[str, Law]":
        """The laws to judge. Raises InvalidInput for an id that names nothing."""
        from sdtps_ref.properties.kit.law import select_laws  # with torch, which the commands import late

        laws = select_laws(self.laws)
        if self.shard is None:
            return laws
        first, every = self.shard
        return select_laws(list(laws)[first - 1 :: every])


@dataclass(frozen=True)
class Limits:
    """What an implementation may use in a process of its own; None for no limit.

    seconds: a law. memory_gib: more than the process needs for itself. loading: seconds for loading it, as many as a
    law has where None.
    """

    seconds: float | None
    memory_gib: float | None = None
    loading: float | None = None

    @property
    def to_load(self) -> float | None:
        """Seconds for loading it."""
        return self.seconds if self.loading is None else self.loading

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not value > 0:
                raise InvalidInput.given(f"a limit of {value} {name}", "a positive number, or none for no limit")


def usual_memory(device: str) -> float | None:
    """GiB; none but on the CPU, because a device's driver asks for far more addresses than it uses."""
    return 4.0 if device == "cpu" else None


def named_profile(profile: str | Profile) -> Profile:
    """The profile of that name. Raises InvalidInput for a name that is none."""
    if isinstance(profile, Profile):
        return profile
    if profile not in PROFILES:
        raise InvalidInput.given(f"profile={profile!r}", ", ".join(PROFILES))
    return PROFILES[profile]
