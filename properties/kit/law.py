"""What a law is: one function with one claim, found by its place and named after it.

`laws/<stage>.py: def <claim>(probe)` is the law `<stage>.<claim>`, and so is one in `laws/<stage>/<part>.py`. There is
nothing else to register.
"""

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache, wraps
from importlib import import_module
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Literal

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.contract import CALL
from sdtps_ref.properties.kit.cost import CostClass
from sdtps_ref.properties.kit.domain import Domain

if TYPE_CHECKING:
    from sdtps_ref.properties.kit.probe import Probe

Level = Literal["MUST", "SHOULD"]
BATCHING_LAW = "symmetry.batch_independent"
LAWS = "sdtps_ref.properties.laws"
SECTIONS = ("Why", "Breaks when", "Remedy")


@dataclass(frozen=True)
class Law:
    """A claim, with what it needs and on which cases it holds.

    id: stable, never reused. needs: contract methods, each entry one or several separated by `|`, of
    which one suffices. depends: laws without which this one means nothing: it is blocked when one failed.
    budget: what its time is taken from; a law that compiles or starts processes takes seconds, and a profile may
    leave it out.
    """

    id: str
    check: Callable[["Probe"], None]
    level: Level
    needs: tuple[str, ...]
    depends: tuple[str, ...]
    domain: Domain
    budget: CostClass
    sections: dict[str, str] = field(repr=False)

    @property
    def claim(self) -> str:
        """The first line of the docstring."""
        return self.sections["Claim"].splitlines()[0]

    def speaks_of(self, methods: Iterable[str]) -> bool:
        """Whether it is about implementations of this kind: laws of a call are not about a contract by hand."""
        return self.needs != (CALL,) or CALL in methods

    def missing(self, methods: Iterable[str]) -> str | None:
        """The first thing this law needs that `methods` lack, in words."""
        have = set(methods)
        for need in self.needs:
            if not have & set(need.split("|")):
                return need.replace("|", " or ")
        return None


def law(
    *,
    needs: str | tuple[str, ...],
    level: Level = "MUST",
    depends: str | tuple[str, ...] = (),
    domain: Domain | None = None,
    budget: CostClass = "eager",
) -> Callable[[Callable[["Probe"], None]], Law]:
    """Make a function of a probe into a law. Its docstring is what `sdtps explain` prints.

    The docstring opens with the formula; then come paragraphs headed `Why:`, `Breaks when:` and `Remedy:`.
    """

    def made(check: Callable[["Probe"], None]) -> Law:
        return Law(
            id=f"{_stage(check.__module__)}.{check.__name__}",
            check=check if "call" in needs else _recorded(check),  # a watched call is recorded otherwise
            level=level,
            needs=(needs,) if isinstance(needs, str) else needs,
            depends=(depends,) if isinstance(depends, str) else depends,
            domain=domain or Domain(),
            budget=budget,
            sections=_sections(check),
        )

    return made


def _recorded(check: Callable[["Probe"], None]) -> Callable[["Probe"], None]:
    @wraps(check)
    def judge(probe: "Probe") -> None:
        with probe.recording():
            check(probe)

    return judge


def _stage(module: str) -> str:
    """The part of `laws` that a module is or lies in; a module elsewhere is a stage of its own."""
    place = module.removeprefix(f"{LAWS}.")
    return place.partition(".")[0] if place != module else module.rpartition(".")[2]


def _sections(check: Callable[..., None]) -> dict[str, str]:
    text = inspect.getdoc(check) or ""
    headed = re.split(rf"^({'|'.join(SECTIONS)}): ", text, flags=re.MULTILINE)
    sections = {"Claim": headed[0].strip()}
    sections.update({name: body.strip() for name, body in zip(headed[1::2], headed[2::2], strict=True)})
    lacking = [name for name in ("Claim", *SECTIONS) if not sections.get(name)]
    if lacking:
        raise TypeError(f"the docstring of law {check.__module__}.{check.__name__} lacks {', '.join(lacking)}")
    return sections


@cache
def all_laws() -> dict[str, Law]:
    """Every law by id, each after the laws it depends on; `BATCHING_LAW` before all that it lets be judged in bulk."""
    found: dict[str, Law] = {}
    for each in walk_packages(import_module(LAWS).__path__, f"{LAWS}."):
        module = import_module(each.name)
        found.update({value.id: value for value in vars(module).values() if isinstance(value, Law)})

    ordered: dict[str, Law] = {}

    def place(law_id: str) -> None:
        for foundation in found[law_id].depends:
            place(foundation)
        ordered.setdefault(law_id, found[law_id])

    for law_id in (BATCHING_LAW, *found):
        place(law_id)
    return ordered


def select_laws(ids: Iterable[str] | None) -> dict[str, Law]:
    """The laws with these ids, or of these stages (`decision`), and what they depend on. None means all.

    Raises InvalidInput for an id that names nothing.
    """
    laws = all_laws()
    if ids is None:
        return laws
    wanted: set[str] = set()
    for given in ids:
        named = {law_id for law_id in laws if given in (law_id, law_id.partition(".")[0])}
        if not named:
            stages = ", ".join(dict.fromkeys(law_id.partition(".")[0] for law_id in laws))
            accepted = f"a law's id, as `sdtps laws` lists them, or a stage: {stages}"
            raise InvalidInput.unknown("law", given, laws, accepted)
        wanted |= named
    for law_id in reversed(laws):  # foundations come before what rests on them
        if law_id in wanted:
            wanted.update(laws[law_id].depends)
    return {law_id: laws[law_id] for law_id in laws if law_id in wanted}
