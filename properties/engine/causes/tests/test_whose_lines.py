"""Lines are those of the file that is judged, whoever calls the certifier and whatever comes back."""

from pathlib import Path

from sdtps_ref.properties.engine.causes.bench import Bench
from sdtps_ref.properties.engine.causes.examination import lines
from sdtps_ref.properties.engine.causes.examination.conduct import repeats
from sdtps_ref.properties.engine.causes.examination.translated import reading_values
from sdtps_ref.properties.engine.causes.tests.a_strangers import RIGHT, load, read
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, plant_all


def test_no_line_is_ours(tmp_path: Path) -> None:
    """Whatever was found stands in the user's file."""
    found = read(tmp_path, RIGHT)
    places = [place for name in found if name.startswith("lines.") for place in found[name].values()]

    folders = {Path(place[0]).parent for place in places if place}

    assert folders == {tmp_path}


def test_no_line_is_the_callers(tmp_path: Path) -> None:
    """Who calls the certifier from a script of their own, on code that is not theirs, is not told a line of it."""
    caller = load(tmp_path, "def call(examination, bench):\n    return examination(bench)\n")
    plant_all()
    bench = Bench(FAULTS["ValueDecidesWhatRuns"](), ("selector",))

    seen = caller.call(reading_values, bench)
    parts = caller.call(lines.parts, bench)["lines.selector"]

    assert (bool(seen["values.read_by"]), seen["values.place"]) == (True, None)
    assert set(parts.values()) == {None}


def test_what_comes_back_may_be_a_named_tuple(tmp_path: Path) -> None:
    """What is kept between calls is seen in any object that has the contract's attributes."""
    source = RIGHT.replace("from types import SimpleNamespace", "from collections import namedtuple").replace(
        "\n\ndef gumbel",
        "\nnames = 'selected_tokens decision keep_indices selected_decision extra_token'\n"
        "SimpleNamespace = namedtuple('Out', names)\n\n\ndef gumbel",
    )
    stale = source.replace(
        "keep = score.topk(number, dim=-1).indices",
        "self.kept = score.detach() if self.kept is None else self.kept\n"
        "        keep = self.kept.topk(number, dim=-1).indices",
    )

    seen = [repeats(Bench(load(tmp_path, text).Mine(), ("selector",)))["state.answers"] for text in (source, stale)]

    assert seen[0] == []
    assert seen[1] != []
