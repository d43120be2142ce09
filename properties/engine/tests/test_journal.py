"""Results lie on disk as they come: killed, a certifier has lost only what it was doing."""

import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sdtps_ref.properties.certificates.certificate import LawResult
from sdtps_ref.properties.engine.journal import Journal, JournalError, seed_of, usual_path
from sdtps_ref.properties.engine.settings import PROFILES, RunSettings

HEADER = {"implementation": {"name": "mine", "sha256": "ab"}, "environment": {"profile": "quick", "seed": 0}}
PASSED = LawResult("decision.forward_is_hard", "MUST", "passed", examples=26, classes=("K=1",))

# Slow enough to be killed in time, as long as a file lies beside it.
PATIENT = """
import time
from pathlib import Path

from sdtps_ref.properties.selftest.planted.baseline import Plain

class Patient(Plain):
    def aggregator(self, **sizes):
        if Path(__file__).with_suffix(".slow").exists():
            time.sleep(0.1)
        return super().aggregator(**sizes)
"""
LAWS = ("--law", "decision.forward_is_hard", "--law", "symmetry.score_shift_invariant")


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    """Under the same header, by law; a torn last line is no line."""
    journal = Journal(tmp_path / "journal.jsonl", HEADER)
    journal.begin()
    journal.add(PASSED)
    with journal.path.open("a") as file:
        file.write('{"id": "decision.keeps_top')

    found = journal.results()

    assert found == {PASSED.id: PASSED}


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"implementation": {"name": "mine", "sha256": "cd"}}, "its sha256 is 'ab', now it is 'cd'"),
        ({"environment": {"profile": "quick", "seed": 1}}, "its seed is 0, now it is 1"),
    ],
)
def test_a_journal_of_another_run_is_refused(tmp_path: Path, now: dict[str, object], said: str) -> None:
    """Another file or other settings: what differs is named."""
    path = tmp_path / "journal.jsonl"
    Journal(path, HEADER).begin()

    with pytest.raises(JournalError, match=said):
        Journal(path, HEADER | now).results()


@pytest.mark.parametrize("content", ["", "hello\n", "[1]\n", '{"a": 1}\n'])
def test_what_is_no_journal_is_refused(tmp_path: Path, content: str) -> None:
    """In one line."""
    path = tmp_path / "journal.jsonl"
    path.write_text(content)

    with pytest.raises(JournalError, match="is not a journal of `sdtps certify`"):
        Journal(path, HEADER).results()


def test_a_journal_that_is_not_there_or_cannot_be_is_told(tmp_path: Path) -> None:
    """Nothing to resume; no place to write."""
    (tmp_path / "file").write_text("")

    with pytest.raises(JournalError, match="nothing to resume"):
        Journal(tmp_path / "journal.jsonl", HEADER).results()
    with pytest.raises(JournalError, match="cannot be written"):
        Journal(tmp_path / "file" / "journal.jsonl", HEADER).begin()


def test_runs_of_other_kinds_have_other_journals() -> None:
    """By target, profile and shard."""
    kinds = itertools.product(("quick", "ci"), ("a.py:A", "b:A"), (None, (1, 2)))
    runs = [RunSettings(PROFILES[profile], target=target, shard=shard) for profile, target, shard in kinds]

    paths = {usual_path(settings) for settings in runs}

    assert len(paths) == len(runs)


def test_a_run_that_is_resumed_has_its_own_seed(tmp_path: Path) -> None:
    """Profile deep draws a seed, which the journal keeps; what is no journal has none."""
    journal, other = Journal(tmp_path / "journal.jsonl", {"environment": {"seed": 4711}}), tmp_path / "other"
    journal.begin()
    other.write_text("[1]\n")

    seeds = [seed_of(path) for path in (journal.path, other, tmp_path / "absent")]

    assert seeds == [4711, None, None]


@pytest.mark.slow
def test_a_killed_certifier_is_resumed(tmp_path: Path) -> None:
    """SIGKILL in the middle: what was judged is in the journal, and `--resume` judges the rest alone."""
    (tmp_path / "patient.py").write_text(PATIENT)
    (tmp_path / "patient.slow").write_text("")
    command = [sys.executable, "-m", "sdtps_ref", "certify", "patient.py:Patient", *LAWS]
    journal = tmp_path / ".sdtps" / "patient-py-Patient-quick.jsonl"

    killed = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (journal.is_file() and journal.read_text().count("\n") > 1) and time.monotonic() < deadline:
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    kept = [json.loads(line)["id"] for line in journal.read_text().splitlines()[1:]]
    (tmp_path / "patient.slow").unlink()
    resumed = subprocess.run([*command, "--resume"], cwd=tmp_path, capture_output=True, text=True)

    assert kept
    assert "symmetry.score_shift_invariant" not in kept
    assert resumed.returncode == 0, resumed.stdout
    assert f"{len(kept)} laws are judged already" in resumed.stdout
    assert not any(f"passed   {law_id}" in resumed.stdout for law_id in kept)
    assert "passed   symmetry.score_shift_invariant" in resumed.stdout
    laws = [line for line in journal.read_text().splitlines()[1:] if "id" in json.loads(line)]
    assert f"{len(laws)} of {len(laws)} laws" in resumed.stdout
