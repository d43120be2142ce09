"""What is given that is not accepted: one line of one form, from every command; and what helps to find the way."""

import os
import subprocess
import sys

import pytest

from sdtps_ref.__main__ import COMMANDS, commands, main
from sdtps_ref.command_line.command import Command


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["sertify"], "sdtps: given command 'sertify' (did you mean 'certify'?); accepted: certify, "),
        (["praise"], "sdtps: given command 'praise'; accepted: certify, "),
        (["--vresion"], "sdtps: given option '--vresion' (did you mean '--version'?); accepted: "),
        (
            ["certify", "--profle", "ci"],
            "sdtps certify: given option '--profle' (did you mean '--profile'?); accepted: ",
        ),
        (["certify", "--profile", "fast"], "sdtps certify: given --profile fast; accepted: quick, ci, deep"),
        (["certify", "--seed", "one"], "sdtps certify: given --seed one; accepted: a whole number"),
        (["certify", "--jobs", "0"], "sdtps certify: given --jobs 0; accepted: 1 or more"),
        (["certify", "--shard", "4/3"], "sdtps certify: given --shard 4/3; accepted: I/N with I from 1 to N, such as "),
        (["certify", "--time-limit", "nan"], "sdtps certify: given --time-limit nan; accepted: seconds, above 0"),
        (["certify", "--json"], "sdtps certify: given --json without a value; accepted: --json FILE"),
        (["certify", "--resume=yes"], "sdtps certify: given --resume with a value; accepted: --resume"),
        (["certify", "a.py", "b.py"], "sdtps certify: given 'b.py' as well; accepted: [TARGET]"),
        (
            ["certify", "--jobs", "2", "--in-process"],
            "sdtps certify: given --jobs with --in-process; accepted: one of ",
        ),
        (["certify", "--device", "tpu"], "sdtps certify: given device 'tpu', which torch does not have here ("),
        (["laws", "noise"], "sdtps laws: given 'noise' as well; accepted: options alone"),
        (["explain"], "sdtps explain: given no ID; accepted: a law's id or a stage"),
        (
            ["explain", "forward_is_hrad"],
            "sdtps explain: given law 'forward_is_hrad' (did you mean 'decision.forward_is_",
        ),
        (["merge"], "sdtps merge: given no CERT; accepted: what `sdtps certify --json` wrote"),
        (["merge", "--readme", "x"], "sdtps merge: given --readme; accepted: in a checkout, python -m sdtps_ref."),
        (["golden"], "sdtps golden: given no command; accepted: generate, check, diff"),
        (
            ["golden", "chek"],
            "sdtps golden: given command 'chek' (did you mean 'check'?); accepted: generate, check, diff",
        ),
        (["golden", "check", "--stage", "x"], "sdtps golden check: given --stage x; accepted: "),
        (["gate", "--clockless"], "sdtps gate: given --clockless; accepted: sdtps gate counts TARGET"),
        (["gate", "--threads", "0"], "sdtps gate: given --threads 0; accepted: 1 or more"),
        (["bench", "--samples", "2"], "sdtps bench: given --samples 2; accepted: 3 or more"),
        (["bench", "record"], "sdtps bench record: given no --history FILE; accepted: "),
        (["report", "a\nb\x1b[2J\udcff"], "sdtps report: a\\nb\\x1b[2J\\udcff cannot be read: "),
    ],
)
def test_what_is_not_accepted_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, with what was given and what is accepted; exit status 2."""
    status = main(arguments)

    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert said.err.startswith(line)
    assert said.err.count("\n") == 1 and said.err.strip().isprintable()


def test_nothing_given_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """As an error: nothing was done."""
    status = main([])

    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert said.err.startswith("Usage: sdtps [OPTIONS] COMMAND") and "certify" in said.err


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_asked_for_in_three_ways(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`help COMMAND`, `COMMAND --help` and `COMMAND -h` print the same, which tells every argument and option."""
    printed = []
    for arguments in (["help", *name.split()], [*name.split(), "--help"], [*name.split(), "-h"]):
        assert main(arguments) == 0
        printed.append(capsys.readouterr().out)

    assert len(set(printed)) == 1
    assert printed[0].startswith(f"Usage: sdtps {name} ")
    found = commands().get_command(None, name)  # type: ignore[arg-type]
    assert isinstance(found, Command)
    for parameter in found.params:
        assert getattr(parameter, "description", "") or getattr(parameter, "help", ""), parameter.name
        assert parameter.human_readable_name in printed[0] or parameter.opts[-1] in printed[0]


def test_help_of_nothing_is_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """`sdtps help` is `sdtps --help`; `-V` and `--version` say the version."""
    statuses = [main(["help"]), main(["--help"]), main(["-V"]), main(["--version"])]

    said = capsys.readouterr().out
    half, _, versions = said.rpartition("Usage:")[2].partition("sdtps 0.")
    assert statuses == [0, 0, 0, 0]
    assert said.count(half) == 2
    assert versions.count("sdtps 0.") == 1


def test_the_front_door_imports_no_room() -> None:
    """`sdtps --help` and a mistyped command bring along neither torch nor rich nor any module of a room."""
    program = (
        "import sys; from sdtps_ref.__main__ import main; main(['--help']); main(['sertify']);"
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'numpy', 'rich', 'hypothesis')"
        " or m.startswith(('sdtps_ref.properties', 'sdtps_ref.golden', 'sdtps_ref.benchmarks'))])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_a_shell_completes_commands_and_options() -> None:
    """What bash asks for is answered from the same table."""
    asked = {"_SDTPS_COMPLETE": "bash_complete", "COMP_CWORD": "1", "COMP_WORDS": "sdtps cer"}

    done = subprocess.run([sys.executable, "-m", "sdtps_ref"], env=os.environ | asked, capture_output=True, text=True)

    assert (done.returncode, done.stdout.strip()) == (0, "plain,certify")
