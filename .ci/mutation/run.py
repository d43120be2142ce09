"""Mutation testing of the reference: `tox -e mutation`, or `python .ci/mutation/run.py WORKPLACE`.

cosmic-ray makes the mutants and keeps the session (cr-report and cr-html read it); this file runs them, because
a process forked after torch is imported costs a tenth of one that imports it, and judges what came of them:

- A mutant that does not compile, or compiles to the same as the reference (annotations aside) or as a mutant
  before it, says nothing and is skipped.
- A mutant of a guard (whatever decides that an input is refused) is judged by the tests, golden, then the laws.
- A mutant of what the contract never asks for (it gives every argument, so no default is used, and M itself, so
  no ratio becomes a number of slots) is out of reach of golden and laws: the tests must kill it, and the score is
  printed with and without such.
- Every other mutant changes what is computed. It is judged by golden, the laws, then the tests; golden and laws
  must kill LEAST of those that survivors.md does not explain.
- A mutant that outlives all three must be in survivors.md, with its reason, and nothing else may be there.
"""

import argparse
import difflib
import gc
import importlib
import os
import resource
import select
import shutil
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Hashable
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.commands import init
from cosmic_ray.config import load_config
from cosmic_ray.tools.filters.operators_filter import OperatorsFilter
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult
from killers import files, first_seen, profile
from mutants import compiled, kind, mutate, place

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LEAST = 0.95
MEMORY = 12 << 30  # bytes of address space: a mutant may ask for a matrix of any size
# The reference and what imports it; errors.py has a `fresh` child.
MUTATED = (
    *(f"sdtps_ref.{name}" for name in ("aggregation", "branches", "decision", "inputs", "multimodal")),
    *(f"sdtps_ref.{name}" for name in ("noise", "scoring", "selection")),
    "sdtps_ref.properties.reference",
    "golden.tests",
)
VECTORS = {"branches": "two_branches"}  # of a module, where they are not called as it is
COMPUTING, TESTS_FIRST = ("golden", "laws", "tests"), ("tests", "golden", "laws")


class Mutant(NamedTuple):
    """What a mutant is known by in survivors.md: it stays the same when lines move."""

    file: str
    before: str
    after: str


def main() -> int:
    """Exit 0 when enough is killed and every survivor explained, 1 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workplace", type=Path, help="a folder for the mutated copy and the session")
    parser.add_argument("--resume", action="store_true", help="go on with the session that is there")
    options = parser.parse_args()
    config = load_config(HERE / "config.toml")
    workplace = options.workplace.resolve()
    session, tree = workplace / "session.sqlite", workplace / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for room in ("sdtps_ref", "properties", "golden"):
        shutil.copytree(ROOT / room, tree / room, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    with use_db(str(session), WorkDB.Mode.open if options.resume else WorkDB.Mode.create) as database:
        if not options.resume:
            init([Path(path) for path in config["module-path"]], database, {})
            OperatorsFilter().filter(database, argparse.Namespace(config=HERE / "config.toml"))
            leave_out_duplicates(database)
        warm_up()
        seen = in_a_fork(COMPUTING, config.timeout)
        if seen is not None:
            print("the reference itself is refused by {}: {}".format(*seen))
            return 1
        run(database, config.timeout)
        return judge(database)


def leave_out_duplicates(database: WorkDB) -> None:
    """Skip what is no Python, or compiles to the reference or to a mutant that stands before it."""
    known: set[Hashable] = {None, *(compiled(path.read_text()) for path in Path("sdtps_ref").glob("*.py"))}
    for item in sorted(database.pending_work_items, key=place):
        program = compiled(mutate(*item.mutations)[1])
        if program in known:
            database.set_result(item.job_id, WorkResult(WorkerOutcome.SKIPPED, "no Python, or nothing new"))
        known.add(program)


def run(database: WorkDB, timeout: float) -> None:
    """Try every mutant that has no result yet, in the random order of their ids: a part of a run is a sample."""
    pending = sorted(database.pending_work_items, key=lambda item: item.job_id)
    for number, item in enumerate(pending, 1):
        (spec,) = item.mutations
        source, mutated = mutate(spec)
        what = kind(spec)
        started = time.perf_counter()
        try:
            spec.module_path.write_text(mutated)
            seen = in_a_fork(TESTS_FIRST if what == "guard" else COMPUTING, timeout, mutated=spec.module_path.stem)
        finally:
            spec.module_path.write_text(source)
        outcome = TestOutcome.SURVIVED if seen is None else TestOutcome.KILLED
        output = "\t".join([what, *(seen or ("nobody", ""))])
        diff = "\n".join(difflib.unified_diff(source.splitlines(), mutated.splitlines(), n=0, lineterm=""))
        database.set_result(item.job_id, WorkResult(WorkerOutcome.NORMAL, output, outcome, diff))
        took = time.perf_counter() - started
        where = f"{spec.module_path.name}:{spec.start_pos[0]}"
        print(f"{number}/{len(pending)} {took:5.1f} s {where} {spec.operator_name[5:]}  {output[:150]}", flush=True)


def warm_up() -> None:
    """Import here, and use once, whatever the killers need but the reference, so that no child has to."""
    certify = importlib.import_module("sdtps_ref.properties.engine.certify")
    plain = importlib.import_module("sdtps_ref.properties.selftest.planted.baseline")
    for name in ("pytest", "sdtps_ref.golden.check"):
        importlib.import_module(name)
    files()
    certify.check_implementation(plain.Plain(), profile=profile(), reproduce=False)
    loaded = [name for name in sys.modules if name.startswith(MUTATED)]
    assert not loaded, f"mutants of {loaded} would not be seen: they are imported before the fork"
    gc.freeze()  # or a child's collector copies every page


def in_a_fork(order: tuple[str, ...], timeout: float, *, mutated: str = "") -> tuple[str, str] | None:
    """What the killers see of the tree as it is now, in a child that imports the reference.

    mutated: the module, whose own vectors come first.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        sys.dont_write_bytecode = True  # a second mutant of the same size in the same second would be taken for it
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        files().sort(key=lambda file: file.stage != VECTORS.get(mutated, mutated))
        if mutated == "errors":  # which the laws import too
            for name in [name for name in sys.modules if name.partition(".")[0] == "sdtps_ref"]:
                del sys.modules[name]
        seen = first_seen(order)
        os.write(writing, ("\t".join(seen) if seen else "nobody").encode())
        os._exit(0)
    os.close(writing)
    answer, until = b"", time.monotonic() + timeout
    while ready := select.select([reading], [], [], max(0.0, until - time.monotonic()))[0]:
        part = os.read(reading, 1 << 16)
        answer += part
        if not part:
            break
    os.close(reading)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if not ready:
        return "laws", f"not done after {timeout} s"
    if not answer:
        return order[0], "the process died"
    if answer == b"nobody":
        return None
    name, what = answer.decode(errors="replace").split("\t", 1)
    return name, what


def judge(database: WorkDB) -> int:
    """Print what killed what, and hold the survivors to survivors.md."""
    specs = {item.job_id: item.mutations[0] for item in database.work_items}
    tally: dict[str, Counter[str]] = defaultdict(Counter)
    survivors: list[Mutant] = []
    missed: list[Mutant] = []
    skipped = 0
    for job, result in database.results:
        if result.worker_outcome is WorkerOutcome.SKIPPED:
            skipped += 1
            continue
        what, (_, killer, _) = kind(specs[job]), result.output.split("\t", 2)
        tally[what][killer] += 1
        mutant = known_as(specs[job].module_path, result.diff)
        if killer == "nobody":
            survivors.append(mutant)
        elif what == "computing" and killer == "tests":
            missed.append(mutant)
    explained = read_survivors((HERE / "survivors.md").read_text())

    print(f"\n{skipped} mutants skipped: no Python, or the same program as the reference or another mutant")
    for what, counts in sorted(tally.items()):
        print(f"{what}: {counts.total()} mutants; killed by {dict(counts)}")
    counts = tally["computing"]
    killed = counts["golden"] + counts["laws"]
    alive = sum(mutant not in explained for mutant in survivors)
    computing = killed + counts["tests"] + alive
    score = killed / max(1, computing)
    print(f"golden and laws kill {killed} of {computing} mutants that compute otherwise: {score:.1%}")
    unasked = tally["unasked"]
    wider = (killed + unasked["golden"] + unasked["laws"]) / max(1, computing + unasked.total())
    print(f"with what the contract never asks for among them: {wider:.1%}")
    show("killed by the tests alone, though they compute otherwise", missed)
    show("not in survivors.md", [mutant for mutant in survivors if mutant not in explained])
    show("in survivors.md, but killed or gone", [mutant for mutant in explained if mutant not in survivors])
    return int(score < LEAST or set(survivors) != explained)


def show(what: str, mutants: list[Mutant]) -> None:
    """As survivors.md would have them."""
    if mutants:
        print(f"\n{len(mutants)} {what}:")
        for file, before, after in mutants:
            print(f"# {file}\n-{before}\n+{after}")


def known_as(path: Path, diff: str) -> Mutant:
    """The mutant's changed lines, without where they stand."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++", "@@"))]
    before = " ".join(line[1:].strip() for line in lines if line.startswith("-"))
    after = " ".join(line[1:].strip() for line in lines if line.startswith("+"))
    return Mutant(path.name, before, after)


def read_survivors(text: str) -> set[Mutant]:
    """The mutants of survivors.md: in its diff blocks `# file`, then pairs of - and + lines."""
    found, file, before = set(), "", ""
    for line in text.splitlines():
        if line.startswith("# ") and line.endswith(".py"):
            file = line[2:]
        elif line.startswith("-"):
            before = line[1:].strip()
        elif line.startswith("+"):
            found.add(Mutant(file, before, line[1:].strip()))
    return found


if __name__ == "__main__":
    sys.exit(main())
