"""Error rates of the gate, of simulated processes."""

import numpy as np

from benchmarks.gate.tests.simulated import Noise, process
from sdtps_ref.benchmarks.gate.measuring.plan import Measured, head_name
from sdtps_ref.benchmarks.gate.rule.verdict import NOT_SLOWER, SLOWER, Rule
from sdtps_ref.benchmarks.maintenance.error_rates import SLOWDOWNS, markdown, rates
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.benchmarks.workloads.sizes import Size

TINY = Size(2, 16, 8, 64, 3)
QUIET = Noise(sample=0.02, place=0.002, wander=0.002, bursts=0.02)


def test_a_calibration_uses_a_process_once() -> None:
    """Decisions on one slowdown share no process: 24 of them make 3 decisions of 8, or 6 of 3 and what is left over."""
    rng = np.random.default_rng(0)
    cell = Cell("pipeline", TINY, "forward")

    def pooled() -> list[Measured]:
        parts = {dose: process(cell, rng, QUIET, slowdown=dose) for dose in SLOWDOWNS}
        first = parts[0.0]
        heads = [first.times[..., :1] * np.exp(part.logs(head_name()))[..., None] for part in parts.values()]
        times = np.concatenate([first.times[..., :3], *heads], axis=-1)
        subjects = {name: first.subjects[name] for name in ("base", "again", "slow")}
        return [Measured(cell, times, 1, subjects | {head_name(dose): dose for dose in SLOWDOWNS})]

    found = {rate.slowdown: rate for rate in rates([cell], [pooled() for _ in range(24)], Rule())}

    assert found[0.0].said == {NOT_SLOWER: 6}
    assert found[0.05].said == {SLOWER: 3}
    assert found[0.1].said == {SLOWER: 3}
    shown = markdown(list(found.values()), [cell], "nowhere", 24)
    assert "| none | 6 | 0 | 6 | 0 | 0.0% (0.0% to 45.9%) | 100.0% (54.1% to 100.0%) |" in shown
