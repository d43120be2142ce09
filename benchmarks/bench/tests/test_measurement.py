"""A row, the table and the page: what is refused has no time, and what beats the limit is an error."""

import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from rich.console import Console

from sdtps_ref.benchmarks import units
from sdtps_ref.benchmarks.bench import suite, table
from sdtps_ref.benchmarks.bench.measurement import Row, Terms, rows
from sdtps_ref.benchmarks.bench.page import page
from sdtps_ref.benchmarks.timing import machine
from sdtps_ref.benchmarks.timing.machine import Machine
from sdtps_ref.benchmarks.timing.timing import Times
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.benchmarks.workloads.eligibility import Admissions
from sdtps_ref.benchmarks.workloads.implementations import Subject, bundled
from sdtps_ref.benchmarks.workloads.sizes import Size
from sdtps_ref.benchmarks.workloads.workload import MODES
from sdtps_ref.properties.selftest.planted.baseline import Plain

SIZES = (Size(B=2, N=16, K=8, C=32, M=3), Size(B=8, N=16, K=8, C=32, M=3))
LOG = bundled()["reference, log"]
FEW = Terms(samples=3)


class OneRefused(Admissions):
    """Everyone may be timed but the one."""

    def refusal(self, subject: Subject, *terms: Any) -> str:
        """By a law that only it broke."""
        return "refused by decision.forward_is_hard" if subject.name == "wrong" else ""


@pytest.fixture(scope="module")
def measured_machine() -> Machine:
    """This one."""
    return machine.machine("cpu")


@pytest.fixture(scope="module")
def done(measured_machine: Machine) -> list[Row]:
    """Two sizes, a right subject and a wrong one."""
    plan = suite.Plan(
        (LOG, Subject("wrong", Plain())), ("selection", "pipeline"), MODES, SIZES, ("float32",), ("cpu",), FEW
    )
    announced: list[str] = []
    tables = list(suite.run(plan, {"cpu": measured_machine}, OneRefused(), announced.append))
    assert plan.steps == len(announced) == 8
    return [row for together in tables for row in together]


def test_a_timed_row_has_all_that_belongs_to_a_time(done: list[Row]) -> None:
    """Times, limit, parts that add up, counts."""
    timed = [row for row in done if row.times is not None]

    assert {(row.cell.mode, row.cell.size) for row in timed} == {(mode, size) for mode in MODES for size in SIZES}
    for row in timed:
        assert row.times and row.limit and row.beyond and row.counts and row.peak_bytes
        assert row.limit.seconds + row.beyond.seconds == pytest.approx(max(row.times.seconds, row.limit.seconds))
        assert row.tokens_per_second == pytest.approx(row.cell.size.tokens / row.times.seconds)


def test_what_is_refused_has_no_time(done: list[Row]) -> None:
    """Only the law."""
    refused = [row for row in done if row.subject == "wrong"]

    assert len(refused) == 12
    assert {(row.times, row.refusal) for row in refused} == {(None, "refused by decision.forward_is_hard")}


def test_what_is_not_offered_or_raises_says_so_and_loses_no_other_row(measured_machine: Machine) -> None:
    """A subject with an aggregator that fails where it is built, and nothing else."""

    class Raises:
        name = "raises"

        def aggregator(self, *, dim: int, slots: int) -> Any:
            raise RuntimeError("out of memory\nby far")

    subject = Subject("raises", Raises())

    seen = [
        row.refusal
        for stage in ("aggregation", "pipeline")
        for row in rows(subject, stage, SIZES[0], "float32", measured_machine, ("forward",), OneRefused(), FEW)
    ]

    assert seen == ["raised RuntimeError: out of memory", "offers no pipeline"]


def test_faster_than_the_limit_is_an_error(done: list[Row]) -> None:
    """Not a record: the table says so in red, and the record too."""
    row = next(row for row in done if row.limit is not None)
    assert row.limit is not None
    quick = replace(row, times=Times((1e-12,) * 3, (1e-12,) * 3, 1))

    said = quick.error

    assert said.startswith("faster than the limit: 1e-12 s, where ")
    assert said == quick.to_json()["error"]
    assert [said in remark.plain for remark in table.remarks([quick])] == [True]


@pytest.mark.parametrize(("around", "noisy"), [(0.24, False), (0.26, True)])
def test_a_noisy_time_is_marked(done: list[Row], around: float, noisy: bool) -> None:
    """Half of the middle half above a quarter of the median: in the table, below it, in the record and on the page."""
    samples = tuple(1 + 2 * around * place for place in (-1, -0.5, 0, 0.5, 1))
    row = replace(next(row for row in done if row.times), times=Times(samples, samples, 1))
    quiet = replace(row, subject="quiet", times=Times((1.0,) * 5, (1.0,) * 5, 1))
    console = Console(width=140, record=True, file=io.StringIO())

    console.print(table.table([row, quiet]))
    for remark in table.remarks([row, quiet]):
        console.print(remark, soft_wrap=True)

    said = console.export_text()
    assert [seen.to_json()["noisy"] for seen in (row, quiet)] == [noisy, False]
    assert said.count(f"{100 * around:.0f} % noisy") == noisy
    assert said.count("too noisy to compare: the samples spread by") == noisy
    assert page([row, quiet], suite.record([row, quiet], {})).count('class="noisy"') == noisy


def test_a_limit_that_a_busy_machine_raised_is_measured_again() -> None:
    """A machine that believes an operator to take a day is asked again."""
    busy = machine.machine("cpu")
    busy._launch = [86400.0]

    (row,) = rows(LOG, "selection", SIZES[0], "float32", busy, ("forward",), OneRefused(), FEW)

    assert row.limit is not None and row.limit.launch == busy.launch
    assert busy.launch < 86400.0


def test_compiled_code_is_not_counted(measured_machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the counter it would run eagerly from then on; so no operators, and nothing that splits the time."""
    monkeypatch.setattr(torch, "compile", lambda built, **_: built)  # a compiler that takes no time
    subject = bundled()["reference, log, compiled"]

    (row,) = rows(subject, "aggregation", SIZES[0], "float32", measured_machine, ("forward",), OneRefused(), FEW)

    assert row.times is not None
    assert (row.counts, row.beyond, row.peak_bytes) == (None, None, None)


def test_the_table_shows_times_and_refusals(done: list[Row]) -> None:
    """A line for each mode; a refused subject has one, and the law stands below."""
    console = Console(width=140, record=True, file=io.StringIO())

    console.print(table.table(done[:6]))
    for remark in table.remarks(done[:6]):
        console.print(remark, soft_wrap=True)

    text = console.export_text()
    assert text.startswith("selection, B2-N16-K8-C32-M3, float32, cpu")
    assert [len(re.findall(rf"reference, log +{re.escape(mode)} +\d", text)) for mode in MODES] == [1, 1, 1]
    assert len(re.findall("wrong +any +refused", text)) == 1
    assert text.count("wrong: refused by decision.forward_is_hard") == 1


def test_gpu_columns_are_shown_where_there_is_one(done: list[Row]) -> None:
    """Host time, CUDA graph and kernels, or why there is no graph."""
    row = next(row for row in done if row.times is not None)
    seen = replace(row, cell=replace(row.cell, device="cuda"), kernels=7, graph_refusal="stream is capturing")

    columns = [column.header for column in table.table([seen]).columns]

    assert tuple(columns[-3:]) == table.GPU_COLUMNS
    assert table.values(seen)["GPU kernels"] == "7"
    # A machine that is busy adds a remark of its own.
    assert sum("stream is capturing" in remark.plain for remark in table.remarks([seen])) == 1


def test_the_record_is_plain_and_whole(done: list[Row], measured_machine: Machine) -> None:
    """JSON that reads back, with the environment, what the machine can do, and why there is no GPU."""
    record = suite.record(done, {"cpu": measured_machine})

    again = json.loads(json.dumps(record))

    assert again == record
    assert {"torch", "device_name", "driver", "threads", "tf32"} <= set(again["environment"]["cpu"])
    assert len(again["rows"]) == len(done)
    assert bool(again["no_gpu"]) != torch.cuda.is_available()


def test_the_page_is_one_file_with_a_plot_for_each_stage(done: list[Row], measured_machine: Machine) -> None:
    """Nothing is loaded from elsewhere; names are escaped; the refused row says by which law."""
    odd = [*done, Row("<b>odd</b>", Cell("pipeline", SIZES[0], "forward"), "refused by a & b")]

    text = page(odd, suite.record(odd, {"cpu": measured_machine}))

    assert text.count("<svg") == 2
    assert not re.search(r'(?:src|href)="(?!#|data:)', text)
    assert "<b>odd" not in text
    assert "refused by a &amp; b" in text
    assert "refused by decision.forward_is_hard" in text


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (units.seconds(0.00123456), "1.23 ms"),
        (units.seconds(9.996e-4), "1.00 ms"),
        (units.seconds(123e-6), "123 us"),
        (units.seconds(12.34), "12.3 s"),
        (units.seconds(None), "-"),
        (units.amount(563_000), "563 k"),
        (units.size(2.5 * 2**20), "2.50 MiB"),
        (units.size(0), "0.00 B"),
        (units.share(0.0123), "1.2 %"),
        (units.share(1, 8), "12 %"),
        (units.share(None), "-"),
    ],
)
def test_numbers_have_three_digits_and_a_unit(shown: str, expected: str) -> None:
    """As a person reads them."""
    assert expected == shown
