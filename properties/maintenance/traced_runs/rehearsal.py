"""Train every run for a hundred steps with a trace around each step, and say whether it named the cause.

python -m sdtps_ref.properties.maintenance.traced_runs.rehearsal [--write docs/trace-runs.md] [NAME ...]
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from sdtps_ref import trace
from sdtps_ref.properties.maintenance.traced_runs.catalogue import HEALTHY, SICK, Edits, Healthy, Sick
from sdtps_ref.properties.tracing.cause import Cause

SCRIPT = Path(__file__).with_name("script.py")
STEPS = 100


@dataclass(frozen=True)
class Outcome:
    """What trace said of a run. first: the step at which it named a cause; right: whether that is as it should be."""

    name: str
    first: int | None
    cause: Cause | None
    right: bool
    loss: float


def script(edits: Edits, folder: Path, name: str) -> ModuleType:
    """The script with these edits, as a file of somebody's and imported. An edit that finds nothing is an error."""
    text = SCRIPT.read_text()
    for old, new in edits:
        if old not in text:
            raise ValueError(f"{old!r} is not in the script")
        text = text.replace(old, new)
    path = folder / f"{''.join(c if c.isalnum() else '_' for c in name)}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sick(run: Sick, folder: Path, steps: int = STEPS) -> Outcome:
    """Train a sick run; traced until a cause is named."""
    model, step = script(run.edits, folder, run.name).start()
    found: tuple[int, Cause] | None = None
    loss = float("nan")
    for number in range(steps):
        if found is not None:
            loss = step(number)
            continue
        with trace(model) as seen:
            loss = step(number)
        named = seen.cause or (seen.remarks[0] if run.remark and seen.remarks else None)
        if named is not None:
            found = number, named
    first, cause = found if found is not None else (None, None)
    right = cause is not None and first == run.first and cause.kind == run.kind
    right = right and cause is not None and cause.where is not None and run.line in _whole(cause)
    return Outcome(run.name, first, cause, right, loss)


def _whole(cause: Cause) -> str:
    assert cause.where is not None
    return Path(cause.where.file).read_text().splitlines()[cause.where.line - 1]


def healthy(run: Healthy, folder: Path, steps: int = STEPS) -> Outcome:
    """Train a healthy run; every step is traced, and none may be accused."""
    model, step = script(run.edits, folder, run.name).start()
    loss = float("nan")
    for number in range(steps):
        with trace(model) as seen:
            loss = step(number)
        if seen.cause is not None or not seen.sites:
            return Outcome(run.name, number, seen.cause, False, loss)
    return Outcome(run.name, None, None, True, loss)


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 if all is as it should be."""
    parser = argparse.ArgumentParser(prog="rehearsal", description=__doc__)
    parser.add_argument("names", nargs="*", help="runs, by name; all without")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table there, as Markdown")
    parser.add_argument("--steps", type=int, default=STEPS)
    given = parser.parse_args(arguments)
    outcomes: dict[str, list[Outcome]] = {"sick": [], "healthy": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for run in (*SICK, *HEALTHY):
            if given.names and run.name not in given.names:
                continue
            outcome = sick(run, folder, given.steps) if isinstance(run, Sick) else healthy(run, folder, given.steps)
            outcomes["sick" if isinstance(run, Sick) else "healthy"].append(outcome)
            print(row(outcome), flush=True)
    right = {name: sum(o.right for o in each) for name, each in outcomes.items()}
    print(f"named {right['sick']} of {len(outcomes['sick'])}; accused {len(outcomes['healthy']) - right['healthy']} of "
          f"{len(outcomes['healthy'])}")  # fmt: skip
    if given.write is not None:
        given.write.write_text(table(outcomes, given.steps))
    return 0 if all(outcome.right for each in outcomes.values() for outcome in each) else 1


def row(outcome: Outcome) -> str:
    """One line of what was said."""
    said = "accuses nobody" if outcome.cause is None else outcome.cause.message
    line = outcome.cause.where.text if outcome.cause is not None and outcome.cause.where is not None else ""
    when = "" if outcome.first is None else f"step {outcome.first + 1}"
    return f"{'ok ' if outcome.right else 'BAD'} {outcome.name:40} {when:8} {said}  | {line}"


def table(outcomes: dict[str, list[Outcome]], steps: int) -> str:
    """The page in docs/."""
    named, runs = sum(o.right for o in outcomes["sick"]), len(outcomes["sick"])
    accused = sum(not o.right for o in outcomes["healthy"])
    lines = [
        "# Sick and healthy runs",
        "",
        f"Each run is one script with one change, trained for {steps} steps with `trace` around each. In a checkout,",
        "`python -m sdtps_ref.properties.maintenance.traced_runs.rehearsal --write FILE` writes this page.",
        "",
        f"Named: {named} of {runs} sick runs, at the first step where the cause can be seen.",
        f"Accused: {accused} of {len(outcomes['healthy'])} healthy runs.",
        "",
        "| sick run | first named | what trace says | the line |",
        "|---|---|---|---|",
    ]
    for o in outcomes["sick"]:
        said = o.cause.message if o.cause is not None else "nothing"
        text = o.cause.where.text if o.cause is not None and o.cause.where is not None else ""
        lines.append(f"| {o.name} | {'never' if o.first is None else f'step {o.first + 1}'} | {said} | `{text}` |")
    lines += ["", "| healthy run | accused | loss of the last step |", "|---|---|---|"]
    lines += [f"| {o.name} | {'no' if o.right else 'yes'} | {o.loss:.2g} |" for o in outcomes["healthy"]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
