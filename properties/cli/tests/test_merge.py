"""Merge: shards become one certificate, environments one table."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sdtps_ref.__main__ import main
from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.certificates.shards import CannotJoin, join_shards
from sdtps_ref.properties.kit.law import all_laws, select_laws
from sdtps_ref.properties.reports.comparison import compare
from sdtps_ref.properties.reports.comparison_report import comparison_markdown, print_comparison
from sdtps_ref.properties.reports.record import record


@pytest.fixture
def whole(certificate: Certificate) -> Certificate:
    """Of all laws, which passed."""
    laws = tuple(LawResult(law_id, law.level, "passed", examples=9) for law_id, law in all_laws().items())
    environment = certificate.environment | {"laws": "all", "shard": None}
    return replace(certificate, environment=environment, laws=laws)


def shard(whole: Certificate, part: int, count: int) -> Certificate:
    """Every count-th law from the part-th on, with what it rests on."""
    ids = set(select_laws(list(all_laws())[part - 1 :: count]))
    environment = whole.environment | {"shard": f"{part}/{count}"}
    return replace(whole, environment=environment, laws=tuple(r for r in whole.laws if r.id in ids))


def became(certificate: Certificate, law: str, status: str, reason: str = "") -> Certificate:
    """The certificate in which one law came to something else."""
    change = {"status": status, "reason": reason, "examples": 0 if status == "skipped" else 3}
    return replace(certificate, laws=tuple(replace(r, **change) if r.id == law else r for r in certificate.laws))


def on(certificate: Certificate, **environment: str | int) -> Certificate:
    """The certificate, from somewhere else."""
    return replace(certificate, environment=certificate.environment | environment)


def test_shards_become_the_whole(whole: Certificate) -> None:
    """In any order; the seconds add up, and no shard is named any more."""
    parts = [shard(whole, part, 3) for part in (3, 1, 2)]

    joined = join_shards(parts)

    assert [replace(whole, seconds=3 * whole.seconds)] == joined
    assert all(len(part.laws) < len(whole.laws) for part in parts)


def test_a_shard_that_is_missing_is_named(whole: Certificate) -> None:
    """What is put together lacks nothing."""
    parts = [shard(whole, part, 4) for part in (1, 3)]

    with pytest.raises(CannotJoin, match="of mine, shard 2/4, 4/4 is missing; accepted: all 4"):
        join_shards(parts)


def test_a_shard_that_is_given_twice_is_named(whole: Certificate) -> None:
    """Two results of one shard are not one more shard."""
    parts = [shard(whole, part, 2) for part in (1, 2, 2)]

    with pytest.raises(CannotJoin, match="shard 2/2 is given twice"):
        join_shards(parts)


@pytest.mark.parametrize("changed", ["code", "torch"])
def test_shards_of_other_code_or_places_are_not_joined(whole: Certificate, changed: str) -> None:
    """A whole is of one implementation in one environment."""
    one, other = shard(whole, 1, 2), shard(whole, 2, 2)
    other = (
        on(other, torch="2.4")
        if changed == "torch"
        else replace(other, implementation=other.implementation | {"sha256": "0" * 64})
    )

    with pytest.raises(CannotJoin, match="is missing"):
        join_shards([one, other])


def test_an_accusation_is_not_taken_back(whole: Certificate) -> None:
    """A law that two shards judged came to the worse of the two."""
    law = "shape.follows_inputs"  # on which all others rest
    parts = [shard(whole, 1, 2), became(shard(whole, 2, 2), law, "error", "it fell")]

    for order in (parts, parts[::-1]):
        (joined,) = join_shards(order)

        assert next(r for r in joined.laws if r.id == law).status == "error"


def test_merged_shards_are_a_certificate(whole: Certificate, tmp_path: Path, capsys) -> None:
    """What `merge --json` writes is verified like any other; without all shards nothing is written."""
    paths = [tmp_path / f"{part}.json" for part in (1, 2)]
    for part, path in enumerate(paths, 1):
        path.write_text(record(shard(whole, part, 2)))
    lacking, written = tmp_path / "lacking.json", tmp_path / "whole.json"

    statuses = (
        main(["merge", str(paths[0]), "--json", str(lacking)]),
        main(["merge", *map(str, paths), "--json", str(written)]),
    )

    assert statuses == (2, 0)
    assert not lacking.exists()
    assert main(["verify", str(written)]) == 0
    assert "shard 2/2 is missing" in capsys.readouterr().err


def test_environments_become_a_table(whole: Certificate) -> None:
    """A column an environment, named by what tells them apart; reasons with where they hold."""
    law = "runtime.compiles"
    comparison = compare(
        [
            on(whole, torch="2.4.1"),
            became(on(whole, torch="2.13.0"), law, "skipped", "no compiler"),
            became(on(whole, torch="2.13.0", device="cuda", device_name="H200", seed=1), law, "error", "it fell"),
        ]
    )

    assert comparison.columns == ("torch 2.4.1, cpu, seed 0", "torch 2.13.0, cpu, seed 0", "torch 2.13.0, cuda, seed 1")
    assert comparison.reasons(law) == [("skipped: no compiler", "2"), ("warning: it fell", "3")]
    assert [law_id for law_id in comparison.laws if comparison.differs(law_id)] == [law]
    assert comparison.exit_status == 0


def test_more_environments_than_a_line_holds(whole: Certificate) -> None:
    """Law and words stay whole at 80 characters; which environments is told by their numbers, in ranges."""
    law = "runtime.compiles"
    several = [on(whole, torch=f"2.{minor}.0") for minor in range(20)]
    for i in (1, 2, 3, 7):
        several[i] = became(several[i], law, "skipped", "no compiler")
    console = Console(record=True, width=80, highlight=False)

    print_comparison(console, compare(several))
    narrow = console.export_text()
    print_comparison(console, compare(several[:2]))

    assert re.search(rf"^{law} +passed 1, 5-7, 9-20; skipped 2-4, 8 *$", narrow, re.MULTILINE)
    assert f"{law} (2-4, 8) skipped: no compiler" in narrow
    assert re.search(rf"^{law} +passed +skipped *$", console.export_text(), re.MULTILINE)


def test_the_worst_verdict_is_the_exit_status(whole: Certificate, tmp_path: Path, capsys) -> None:
    """One refusal refuses; the console, Markdown and JSON name the law and where."""
    law = "decision.keeps_top_k"
    refused = replace(
        whole, laws=tuple(replace(r, status="error", reason="it | fell") if r.id == law else r for r in whole.laws)
    )
    paths = [tmp_path / f"{torch}.json" for torch in ("one", "two")]
    for torch, path, certificate in zip(("2.4.1", "2.13.0"), paths, (whole, refused), strict=True):
        path.write_text(record(on(certificate, torch=torch)))
    page, table = tmp_path / "summary.md", tmp_path / "table.json"

    status = main(["merge", *map(str, paths), "--markdown", str(page), "--json", str(table)])

    compared = json.loads(table.read_text())
    row = next(row for row in compared["laws"] if row["id"] == law)
    assert status == 1
    assert f"{law} (2) error: it | fell" in capsys.readouterr().out
    assert f"| `{law}` | passed | error |" in page.read_text() and "it &#124; fell" in page.read_text()
    assert [environment["verdict"] for environment in compared["environments"]] == ["certified", "refused"]
    assert row["differs"] and [result["status"] for result in row["results"]] == ["passed", "error"]


def test_only_certificates_of_one_code_are_compared(whole: Certificate) -> None:
    """Another name, another file, or the same certificate again is no other environment."""
    named = replace(whole, implementation=whole.implementation | {"name": "yours"})
    edited = replace(whole, implementation=whole.implementation | {"sha256": "0" * 64})

    for other, says in ((named, "of mine and of yours"), (edited, "two versions of mine"), (whole, "twice")):
        with pytest.raises(CannotJoin, match=says):
            compare([whole, other])


def test_environments_that_nothing_tells_apart_are_counted(whole: Certificate) -> None:
    """Two runs in one environment are two columns."""
    comparison = compare([whole, replace(whole, seconds=whole.seconds + 1)])

    assert comparison.columns[1] == f"{comparison.columns[0].removesuffix(' (1)')} (2)"


def test_names_of_subjects_are_text(whole: Certificate) -> None:
    """Markup in a name or a reason is markup neither on the console nor in Markdown."""
    name = "<script>[bold]x[/bold] | \x1b[2J"
    one = replace(whole, implementation=whole.implementation | {"name": name})
    console = Console(record=True, width=200, highlight=False, markup=False)

    comparison = compare([one, became(on(one, torch="2.4.1"), "runtime.compiles", "skipped", name)])
    print_comparison(console, comparison)

    printed, page = console.export_text(), comparison_markdown(comparison)
    assert "[bold]x[/bold] | \\x1b[2J" in printed and "\x1b" not in printed
    assert "<script" not in page and "\x1b" not in page
