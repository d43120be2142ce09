"""Write a constraint for each dependency of pyproject.toml: the lowest release that it allows.

    python .ci/floors.py floors.txt dist && pip install --constraint floors.txt "sdtps-ref[test]"

A floor `X` or `X.Y` stands for the last patch of X.0 or X.Y: what a patch mends is not ours to work around.
"""

import argparse
import sys
from pathlib import Path

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def floors(project: dict) -> dict[str, str]:
    """{name: constraint}, of the dependencies and of every extra.

    Raises SystemExit for a dependency without a floor, and for one with two.
    """
    found: dict[str, str] = {}
    extras = project["optional-dependencies"].values()
    for text in [*project["dependencies"], *(line for extra in extras for line in extra)]:
        requirement = Requirement(text)
        if requirement.name == project["name"]:  # an extra that takes in another
            continue
        lowest = [bound.version for bound in requirement.specifier if bound.operator in (">=", "==")]
        if len(lowest) != 1:
            raise SystemExit(f"pyproject.toml: given {text!r}; accepted: one floor, such as {requirement.name}>=1.2")
        held = f"{requirement.name}=={pinned(lowest[0])}"
        if found.setdefault(requirement.name, held) != held:
            raise SystemExit(f"pyproject.toml: given {text!r} and, elsewhere, {found[requirement.name]}; accepted: one")
    return found


def pinned(floor: str) -> str:
    """`2.4.1` as it is; `2.4` as `2.4.*`, and `13` as `13.0.*`."""
    parts = floor.split(".")
    return floor if len(parts) > 2 else ".".join([*parts, "0"][:2]) + ".*"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, help="where to")
    parser.add_argument("dist", type=Path, help="the folder with this project's wheel, which no published one replaces")
    given = parser.parse_args()
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    (wheel,) = given.dist.resolve().glob("*.whl")
    lines = [*floors(project).values(), f"{project['name']} @ {wheel.as_uri()}"]
    given.file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
