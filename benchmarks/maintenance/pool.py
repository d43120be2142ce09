"""A pool of measured processes, each kept as a file when it is done: a calibration of hours can be made in parts."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from sdtps_ref.benchmarks.gate.measuring.plan import Measured, Plan
from sdtps_ref.benchmarks.gate.measuring.rounds import measured_in_fresh_process
from sdtps_ref.benchmarks.timing.environment import environment
from sdtps_ref.benchmarks.timing.process import ProcessFailed
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.errors import InvalidInput
from sdtps_ref.output_files import replace_text

Pool = list[list[Measured]]  # by process, then by cell


def measured_pool(
    plan: Plan,
    processes: int,
    *,
    jobs: int = 1,
    kept: Path | None = None,
    fewest: int = 1,
    announce: Callable[[int], None] = lambda number: None,
) -> Pool:
    """What that many fresh processes measure, each with a seed of its own, `jobs` of them side by side.

    kept: a folder where each leaves its file; one that is there is read, not measured again. An interrupted pool of
    `fewest` or more is a whole one of fewer. Raises SDTPSError, InvalidInput where the folder holds another plan's.
    """

    def one(number: int) -> list[Measured]:
        file = None if kept is None else kept / f"{number:04}.json"
        if file is not None and file.exists():
            return _read(file, _terms(plan, jobs), plan.cells)
        measured = measured_in_fresh_process(replace(plan, seed=plan.seed + number))
        if file is not None:
            _write(file, _terms(plan, jobs), measured)
        return measured

    found: Pool = []
    with ThreadPoolExecutor(jobs) as threads:
        try:
            for measured in threads.map(one, range(processes)):  # which cancels the rest where one raises
                found.append(measured)
                announce(len(found))
        except KeyboardInterrupt:
            if len(found) < fewest:
                raise
    return found


def _terms(plan: Plan, jobs: int) -> dict[str, Any]:
    """What two processes of one pool have in common, as JSON keeps it."""
    (device,) = {cell.device for cell in plan.cells}
    return {
        "cells": list(map(str, plan.cells)),
        "dtypes": [cell.dtype for cell in plan.cells],
        "doses": plan.doses,
        "seconds": plan.seconds,
        "blocks": plan.blocks,
        "seed": plan.seed,
        "jobs": jobs,
        **environment(device, plan.threads),
    }


def _write(file: Path, terms: dict[str, Any], measured: list[Measured]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_text(file, json.dumps({"terms": terms, "cells": [seen.to_json() for seen in measured]}))


def _read(file: Path, here: dict[str, Any], cells: tuple[Cell, ...]) -> list[Measured]:
    try:
        stored = json.loads(file.read_text())
        there = dict(stored["terms"])
        measured = [Measured.from_json(cell, seen) for cell, seen in zip(cells, stored["cells"], strict=True)]
    except (ValueError, LookupError, TypeError, ProcessFailed) as error:
        raise InvalidInput.given(f"{file}, which is damaged", "what a calibration left there, or no file") from error
    other = [f"{name} {there.get(name)} and not {here[name]}" for name in here if there.get(name) != here[name]]
    if other:
        raise InvalidInput.given(f"{file}, measured with {'; '.join(other)}", "a folder for each plan")
    return measured
