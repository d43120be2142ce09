"""The gate on real revisions: a clone of the repository, a commit that changes nothing, and one that is 5 % slower.

What is planted stands in the reference's source: every call of the aggregation sends some tokens through its layers
once more, and throws the result away. How many, is found by measuring.
"""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sdtps_ref.benchmarks.gate.measuring.plan import DOSE, Plan, head_name
from sdtps_ref.benchmarks.gate.measuring.revisions import Operand, resolve
from sdtps_ref.benchmarks.gate.measuring.rounds import measured_in_fresh_process
from sdtps_ref.errors import InvalidInput, SDTPSError

PLACE = Path("sdtps_ref", "aggregation.py")
LAST = "        return aggregate(self.aggregation_logits(tokens), tokens, decision, self.mask)\n"
PLANTED = """        with torch.no_grad():
            self.logits(tokens.flatten(0, 1)[:{rows}])
"""
NO_OP = "\n# A comment changes nothing.\n"
GUESSES = (8, 48)  # rows, between or near which the owed slowdown lies


@dataclass(frozen=True)
class Revisions:
    """Commits of the clone. rows: tokens that the planted slowdown wastes a call."""

    repository: Path
    base: str
    no_op: str
    planted: str
    rows: int


def prepare(repository: Path, into: Path, plan: Callable[[Operand, Operand], Plan], target: str) -> Revisions:
    """Clone HEAD of `repository` into the empty folder `into`, and commit both changes there.

    plan: of a measurement of two operands. target: "module:attribute", what is measured. Raises SDTPSError.
    """
    _git(into.parent, "clone", "--quiet", "--no-local", str(repository.resolve()), str(into))
    base = _git(into, "rev-parse", "HEAD")
    source = (into / PLACE).read_text(encoding="utf-8")
    if source.count(LAST) != 1:
        raise InvalidInput.given(f"a revision whose {PLACE} has no line {LAST.strip()!r}", "one of this reference")

    def slower(rows: int) -> float:
        (into / PLACE).write_text(source.replace(LAST, PLANTED.format(rows=rows) + LAST), encoding="utf-8")
        sides = [
            resolve(given, implementation=target, repository=into, into=extracted)
            for given, extracted in ((base, into.parent / f"base-{rows}"), (str(into), into))
        ]
        measured = measured_in_fresh_process(plan(sides[0], sides[1]))
        return float(np.median([np.median(seen.logs(head_name())) for seen in measured]))

    few, many = GUESSES
    low, high = (float(np.median([slower(rows) for _ in range(3)])) for rows in GUESSES)
    if high <= low:
        raise SDTPSError("the planted work made no difference that could be measured: try again on a quieter machine")
    rows = max(1, round(few + (many - few) * (np.log1p(DOSE) - low) / (high - low)))

    (into / PLACE).write_text(source + NO_OP, encoding="utf-8")
    no_op = _commit(into, "A comment")
    (into / PLACE).write_text(source.replace(LAST, PLANTED.format(rows=rows) + LAST), encoding="utf-8")
    return Revisions(into, base, no_op, _commit(into, "Five percent slower"), rows)


def longer(plan: Plan) -> Plan:
    """The same with more time: what is planted should be known better than what is judged."""
    return replace(plan, seconds=2 * plan.seconds)


def _commit(folder: Path, message: str) -> str:
    author = ["-c", "user.name=rehearsal", "-c", "user.email=rehearsal@localhost", "-c", "commit.gpgsign=false"]
    _git(folder, *author, "commit", "--quiet", "--no-verify", "--all", "--message", message)
    return _git(folder, "rev-parse", "HEAD")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise InvalidInput.given(f"git {arguments[0]}: {said[-1]}", "a git repository of this project, --repository")
    return done.stdout.strip()
