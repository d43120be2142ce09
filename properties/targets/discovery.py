"""Implementations that installed packages offer by name, as entry points."""

from importlib.metadata import EntryPoint, entry_points

GROUP = "sdtps.implementations"


def offered() -> dict[str, EntryPoint]:
    """By name. Its value is a target: package.module:attribute, or package.module for published classes.

    In a package's pyproject.toml:

        [project.entry-points."sdtps.implementations"]
        mine = "my_package.sdtps_adapter:Mine"
    """
    return {entry.name: entry for entry in entry_points(group=GROUP)}
