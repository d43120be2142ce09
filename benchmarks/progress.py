"""A bar that shows a person at a terminal how far the work is; nothing is printed elsewhere."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn


def bar(*more: ProgressColumn) -> Progress:
    """On stderr, so that what a command prints can go to a file; gone when it is done. more: columns, at its end."""
    console = Console(stderr=True)  # rich before 14.3 ends even a disabled bar with an empty line
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *more)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
