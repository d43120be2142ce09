"""What people read, word for word. `EXPECTTEST_ACCEPT=1 pytest golden/tests/test_printed.py` writes the expectations anew.

Run it again without, and read the diff: expecttest may misplace a literal where several change at once.
"""

import contextlib
import io
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from expecttest import assert_expected_inline
from rich.console import Console

from sdtps_ref import InvalidInput, MultiModalSDTPS, TokenAggregation, TokenSparse
from sdtps_ref.__main__ import main
from sdtps_ref.inputs import check_count, check_ratio, check_tau
from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.contract import Selection
from sdtps_ref.properties.engine.certify import check_implementation
from sdtps_ref.properties.engine.settings import Profile
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.expect import expect_close
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.reports.console import law_line, print_summary
from sdtps_ref.properties.selftest.planted.baseline import Plain
from sdtps_ref.properties.targets.target import TargetError, load

# Nothing is shrunk: how far hypothesis gets may differ from one of its versions to the next.
FEW = Profile("few", examples=2, minimum=1, shrink=False)


class Right(Plain):
    """A right implementation."""

    name = "right"


class OneTooMany(Plain):
    """Keeps a token too many in D."""

    name = "one too many"

    def hard(self, score, indices):
        return super().hard(score, torch.topk(score, min(indices.shape[-1] + 1, score.shape[-1])).indices)


class Wordless(Plain):
    """Refuses without a message."""

    name = "wordless"

    def check(self, num_tokens, keep):
        if not 1 <= keep <= num_tokens:
            raise ValueError


def normalised(text: str) -> str:
    """The text less what differs from run to run and from machine to machine.

    Seconds, percentages, rates and counts of examples become `#`, torch's version `TORCH`; the values of drawn
    tensors are left out; spaces at line ends go, and so does whatever rich or click do to a line's width.
    """
    text = re.sub(r"\d+\.\d+ s\b", "# s", text)
    text = re.sub(r"\d+%", "#%", text)
    text = re.sub(r"\d+ a second", "# a second", text)
    text = re.sub(r"\d+ examples", "# examples", text)
    text = text.replace(f"torch {torch.__version__}", "torch TORCH")
    text = re.sub(r"torch\.tensor\(\[.*\], dtype", "torch.tensor([...], dtype", text)
    text = re.sub(r" +(?=# examples)", " ", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def printed(certificate: Certificate) -> str:
    """What `sdtps certify` writes about this certificate."""
    console = Console(file=io.StringIO(), width=120, highlight=False, markup=False, color_system=None)
    for result in certificate.laws:
        console.print(law_line(result), soft_wrap=True)
    print_summary(console, certificate)
    return normalised(console.file.getvalue())


def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, run: Callable[[], object]) -> str:
    """What a command writes to a terminal so wide that no line is broken, which Python versions do differently."""
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with contextlib.suppress(SystemExit):  # after the help
        run()
    return normalised(capsys.readouterr().out)


def refusals(error: type[Exception], calls: Iterable[Callable[[], object]]) -> str:
    """The messages of calls that must raise `error`, a line each."""
    messages = []
    for call in calls:
        with pytest.raises(error) as raised:
            call()
        messages.append(str(raised.value))
    return "\n".join(messages)


def test_certificate_of_a_right_one() -> None:
    """A line a law, the verdict, and on what it rests."""
    certificate = check_implementation(Right(), profile=FEW, laws=["decision"], isolated=False)

    assert_expected_inline(
        printed(certificate),
        """\
passed   shape.follows_inputs # examples   # s
passed   gradient.is_finite # examples   # s
passed   decision.forward_is_hard # examples   # s
passed   decision.backward_is_linear # examples   # s
passed   gradient.reaches_score # examples   # s
passed   decision.backward_is_softmax # examples   # s
passed   decision.ignores_noise_forward # examples   # s
passed   decision.keeps_top_k # examples   # s
passed   decision.second_derivative_is_right # examples   # s

CERTIFIED, in part: by decision alone
conforms: yes, 9 of 9 laws     will train: nothing speaks against it
judged    right
          torch TORCH, cpu, profile few, seed 0: # s
found     temperature = as given""",
    )


def test_certificate_of_a_wrong_one() -> None:
    """The law that failed, those it blocks, and for the failure the message, the case, the remedy and the script."""
    certificate = check_implementation(
        OneTooMany(), profile=FEW, laws=["decision", "selection.decision_is_aligned"], isolated=False
    )

    assert_expected_inline(
        printed(certificate),
        """\
passed   shape.follows_inputs # examples   # s
passed   gradient.is_finite # examples   # s
failed   decision.forward_is_hard # examples   # s
blocked  decision.backward_is_linear                   rests on decision.forward_is_hard, which did not pass
blocked  gradient.reaches_score                        rests on decision.backward_is_linear, which did not pass
blocked  decision.backward_is_softmax                  rests on decision.forward_is_hard, which did not pass
blocked  decision.ignores_noise_forward                rests on decision.forward_is_hard, which did not pass
blocked  decision.keeps_top_k                          rests on decision.ignores_noise_forward, which did not pass
blocked  decision.second_derivative_is_right           rests on decision.backward_is_linear, which did not pass
blocked  selection.decision_is_aligned                 rests on decision.forward_is_hard, which did not pass

REFUSED by decision.forward_is_hard
conforms: no, 1 of 3 laws fail     will train: nothing speaks against it
cause     D marks 5 tokens where 4 are gathered
          tokens that are pooled and tokens that are trained are not the same
fix       make the hard mask of the very keep_indices that gather the tokens
explains  decision.forward_is_hard
judged    one too many
          torch TORCH, cpu, profile few, seed 0: # s
not       4 laws: rests on decision.forward_is_hard, which did not pass
          2 laws: rests on decision.backward_is_linear, which did not pass
          1 law: rests on decision.ignores_noise_forward, which did not pass""",
    )


def test_warning_of_a_law_that_should_hold() -> None:
    """A SHOULD warns and does not refuse; a script may end in what the implementation raises."""
    certificate = check_implementation(Wordless(), profile=FEW, laws=["errors.keep_of_zero"], isolated=False)

    assert_expected_inline(
        printed(certificate),
        """\
passed   shape.follows_inputs # examples   # s
warning  errors.keep_of_zero # examples   # s

CERTIFIED, in part: by errors.keep_of_zero alone
conforms: yes, 1 of 2 laws     will train: nothing speaks against it
remark    a wrong K is refused without a word of what was given
          whoever meets it has to read the code
fix       raise ValueError(f"keep must be from 1 to {N}, but is {keep}")
explains  errors.keep_of_zero
judged    wordless
          torch TORCH, cpu, profile few, seed 0: # s""",
    )


def test_failure_of_a_comparison() -> None:
    """What was seen, what should have been, where, how many entries are off by how much, and why."""
    probe = Probe(Right(), Case(batch=1, num_tokens=3, keep=2, dim=8, slots=1))
    owed = torch.tensor([[1.0, 0.0, 1.0]])
    seen = probe.given("seen", torch.tensor([[0.99999994, 0.0, 1.0]]))
    far = probe.given("far", owed + 0.25)

    def exactly() -> None:
        expect_close(probe, "decision", "bn", seen, owed, tolerance=0.0, constant=True)

    def roughly() -> None:
        expect_close(
            probe, "decision[bn] in eval mode", "bn", far, owed, tolerance=1e-3, because="it is shifted", constant=True
        )

    messages = refusals(Violation, [exactly, roughly])
    assert_expected_inline(
        messages,
        """\
decision[b=0, n=0] = 0.99999994, but should be 1 (1 of 3 entries; exact)
decision[b=0, n=0] in eval mode = 1.25, but should be 1 (3 of 3 entries are off by more than 0.001): it is shifted""",
    )


def test_explain(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The four parts of a law's docstring, under its id, level and needs."""
    text = command(capsys, monkeypatch, lambda: main(["explain", "decision.forward_is_hard"]))

    assert_expected_inline(
        text,
        """\
decision.forward_is_hard  (MUST; needs selector; rests on shape.follows_inputs)

Claim: D = hard_mask + (soft_mask - stop_gradient(soft_mask)): forward, every entry is exactly 0 or 1, K ones a row.

Why: D multiplies 1e10 in the published mask, so a D of 0.99999994 moves a logit by 596 in float32, and the slots pool something else than what they were trained to.

Breaks when: the parentheses are left out (Python adds `hard + soft` first, and 8 to 14 % of the entries are no longer exact), the soft mask is used forward, K is off by one, or a threshold at the K-th score lets all that tie with it pass.

Remedy: write `hard + (soft - soft.detach())`, or `(hard - soft.detach()) + soft`, with a hard mask of one at `topk(score, K).indices`.""",
    )


# A law that is new need not stand here before it is released.
PUBLISHED = """\
aggregation.decision_gradient_is_one_gain MUST
aggregation.equals_gather_first MUST
aggregation.finite_in_half MUST
aggregation.gradient_equals_gather_first SHOULD
aggregation.ignores_dropped_tokens MUST
aggregation.is_convex MUST
aggregation.permutation_invariant MUST
aggregation.unchanged_when_decision_is_one MUST
call.backward_stays_in_its_sample MUST
call.choice_is_trained SHOULD
call.decision_is_hard MUST
call.decision_meets_its_tokens MUST
call.default_is_trained SHOULD
call.eval_is_deterministic MUST
call.extra_token_is_of_the_dropped MUST
call.gain_is_about_one SHOULD
call.gradient_reaches_score MUST
call.keeps_the_highest MUST
call.noise_is_fresh MUST
call.repeats MUST
call.samples_are_independent MUST
call.score_is_not_steep SHOULD
call.temperature_divides MUST
decision.backward_is_linear MUST
decision.backward_is_softmax MUST
decision.forward_is_hard MUST
decision.ignores_noise_forward MUST
decision.keeps_top_k MUST
distributed.gradient_equals_single_process SHOULD
errors.fully_masked_row SHOULD
errors.keep_larger_than_tokens SHOULD
errors.keep_of_zero SHOULD
errors.nan_scores SHOULD
gradient.follows_temperature MUST
gradient.gain_is_the_aggregators SHOULD
gradient.is_finite MUST
gradient.is_finite_in_float16 SHOULD
gradient.matches_closed_form MUST
gradient.reaches_score MUST
gradient.well_conditioned SHOULD
multimodal.decision_reaches_own_aggregator MUST
multimodal.extra_token_is_own MUST
multimodal.guidance_reaches_others MUST
multimodal.noise_is_not_shared MUST
multimodal.shape_follows_inputs MUST
noise.is_above_minus_infinity SHOULD
noise.is_absent_in_eval SHOULD
noise.is_finite MUST
noise.is_gumbel MUST
noise.is_independent MUST
noise.is_present_in_training SHOULD
runtime.autocast SHOULD
runtime.compiled_equals_eager MUST
runtime.compiles SHOULD
runtime.deterministic_algorithms SHOULD
runtime.exports SHOULD
runtime.has_no_state MUST
runtime.inputs_untouched MUST
runtime.layout_does_not_matter MUST
runtime.leaves_torch_alone MUST
runtime.respects_the_generator MUST
runtime.runs_on_meta SHOULD
runtime.survives_large_scores MUST
selection.decision_is_aligned MUST
selection.extra_token_carries_gradient SHOULD
selection.extra_token_pools_dropped MUST
selection.gathers_kept_tokens MUST
selection.tokens_carry_gradient MUST
shape.follows_inputs MUST
symmetry.batch_independent MUST
symmetry.score_order_is_all_that_matters MUST
symmetry.score_shift_invariant MUST
symmetry.token_permutation_equivariant MUST
training.everything_is_trained MUST
training.gradient_stays_bounded SHOULD
training.gradient_stays_finite MUST"""


def test_laws(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are stable and never reused: those that were ever published are listed, each with its level."""
    text = command(capsys, monkeypatch, lambda: main(["laws"]))
    listed = {" ".join(line.split()[:2]) for line in text.splitlines()}

    assert set(PUBLISHED.splitlines()) <= listed


def test_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`sdtps --help` names every command."""
    text = command(capsys, monkeypatch, lambda: main(["--help"]))

    assert_expected_inline(
        text,
        """\
Usage: sdtps [OPTIONS] COMMAND [ARGS]...

Options:
  -V, --version  Print the version.
  --verbose      Show the traceback of an error.
  -h, --help     Show this message and exit.

Commands:
  certify   hold an implementation to the laws
  trace     why does my selection not learn: watch one training step of your own
  laws      list every law
  explain   print one law: formula, reason, what breaks it, remedy
  selftest  run the laws on planted faults and right variants
  report    make JSON, JUnit XML, Markdown, a badge or a page from a stored certificate
  schema    print the JSON schema of a certificate
  verify    check a stored certificate; with --rerun, reproduce its verdict
  replay    rerun the failing case of one law that a certificate stores
  merge     join certificates of several environments into a table, and shards into one
  init      write an adapter to start from, and a test file, into your project
  new-law   in a checkout, write the stubs of a law and of its fault
  golden    generate the golden vectors, or check an implementation against them
  bench     time implementations against the limit of this machine
  gate      did it get slower: two revisions, folders or targets against each other

  `sdtps help COMMAND` tells the options of a command.

  eval "$(_SDTPS_COMPLETE=bash_source sdtps)"  # completes them in bash""",
    )


def test_help_of_certify(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`sdtps certify --help` tells every option and the exit statuses."""
    text = command(capsys, monkeypatch, lambda: main(["certify", "--help"]))

    assert_expected_inline(
        text,
        """\
Usage: sdtps certify [OPTIONS] [TARGET]

  Hold an implementation to the laws. Exit 0 certified, 1 refused, 2 could not run.

  It guards against mistakes and against code that meddles, not against an enemy: the
  implementation is run, with your rights. See the page "What a certificate is worth".

Arguments:
  TARGET  package.module:attribute or path/to/file.py:attribute, the attribute left out where the
          classes have a published signature; or the name under which an installed package offers
          one (default: the reference)

What is judged:
  --profile [quick|ci|deep]  how hard to look (default: quick)
  --seed N                   of the drawn cases (default: 0; with deep, a new one each time)
  --law ID                   this law or stage only, with what it rests on
  --shard I/N                every N-th law from the I-th on; merge joins them
  --device DEVICE            where the laws run (default: cpu)
  --expected FILE            TOML file of laws that are known to fail
  --database WHERE           failing cases that are shared: a directory, redis://host:port/db, or
                             none; may be repeated (default: none; with deep, .sdtps/examples)
  --root DIR                 where a file's imports start (default: found above the file)
  --require [training]       exit 1 too where it will not train well

In which process:
  --jobs N            laws tried at once (default: 1)
  --time-limit S      seconds a law (default: the profile's)
  --memory-limit GIB  of a child (default: 4 on the CPU)
  --in-process        no child process and no limits: for a debugger

What is kept:
  --json FILE            write the certificate itself, from which the others can be made
  --junit FILE           write JUnit XML
  --markdown FILE        write a summary for a pull request
  --sarif FILE           write SARIF 2.1.0, which shows findings in code review
  --badge FILE           write an endpoint for a badge of shields.io
  --html FILE            write one self-contained page with plots
  --journal FILE         results as they come (default: in .sdtps)
  --resume               go on from the journal of an interrupted run
  --write-expected FILE  a file for --expected, of what fails now
  --format [github]      annotate a pull request from a job's log

Options:
  --quiet     the verdict in one line
  --verbose   each failure with its case, script and traceback
  -h, --help  Show this message and exit.""",
    )


def test_repr_of_a_selection() -> None:
    """Dtypes and shapes, not values."""
    selection = Selection(torch.zeros(2, 3, 8), torch.zeros(2, 6), keep_indices=torch.zeros(2, 3, dtype=torch.int64))

    assert_expected_inline(
        repr(selection),
        """Selection(selected_tokens=float32[2, 3, 8], decision=float32[2, 6], keep_indices=int64[2, 3], selected_decision=None, extra_token=None)""",
    )


def test_bad_sizes_and_numbers() -> None:
    """Each says what was given and what is accepted."""
    messages = refusals(
        InvalidInput,
        [
            lambda: check_ratio("keep_ratio", 1.5),
            lambda: check_tau(0.0),
            lambda: check_count("dim", 0),
            lambda: check_count("slots", 2.5),  # type: ignore[arg-type]
            lambda: TokenAggregation(8, 2, dim_ratio=0.0),
            lambda: TokenAggregation(8, 2, mask="multiply"),  # type: ignore[arg-type]
            lambda: MultiModalSDTPS(8, 6, modalities=("rgb", "rgb")),
            lambda: MultiModalSDTPS(8, 6, beta=0.75),
        ],
    )

    assert_expected_inline(
        messages,
        """\
given keep_ratio=1.5; accepted: a number in (0, 1]
given tau=0.0; accepted: a finite number above 0
given dim=0; accepted: a whole number, 1 or more
given slots=2.5; accepted: a whole number, 1 or more
given dim_ratio=0.0; accepted: a finite number above 0
given mask='multiply'; accepted: 'subtract' or 'log'
given modalities=('rgb', 'rgb'); accepted: one or more different names
given 2 * beta=1.5; accepted: a number in (0, 1]""",
    )


def test_bad_tensors() -> None:
    """Each says what was given, where it is one entry, and what is accepted."""
    tokens, score, whole = torch.zeros(2, 6, 8), torch.zeros(2, 6), torch.zeros(2, 6, dtype=torch.int64)
    select, pool = TokenSparse(8), TokenAggregation(8, 2)
    modalities = MultiModalSDTPS(8, 6, modalities=("rgb", "nir"))
    both, features = {"rgb": tokens, "nir": tokens}, {"rgb": torch.zeros(2, 8), "nir": torch.zeros(2, 8)}
    messages = refusals(
        InvalidInput,
        [
            lambda: select(tokens.int(), score),
            lambda: select(tokens[:, :, :4], score),
            lambda: select(tokens, whole),
            lambda: select(tokens, score[:, :5]),
            lambda: select(tokens, score.index_fill(1, torch.tensor(4), torch.nan)),
            lambda: pool(tokens, score),
            lambda: modalities({"rgb": tokens}, features),
            lambda: modalities(dict.fromkeys(both, tokens[:, :5]), features),
            lambda: modalities(both, dict.fromkeys(both, torch.zeros(3, 8))),
        ],
    )

    assert_expected_inline(
        messages,
        """\
given tokens of torch.int32; accepted: a floating-point tensor
given tokens of shape (2, 6, 4); accepted: B N C with N >= 1 and C = dim = 8
given score of torch.int64; accepted: a floating-point tensor of shape (2, 6), one number a token
given score of shape (2, 5); accepted: a floating-point tensor of shape (2, 6), one number a token
given score with NaN at [b=0, n=4]; accepted: numbers: a NaN has no place in an order
given decision with nothing kept in row b=0; accepted: at least one D above 0 in every row
given tokens for ['rgb']; accepted: exactly ['rgb', 'nir']
given tokens['rgb'] of shape (2, 5, 8); accepted: N = num_tokens = 6
given global_features['rgb']: torch.float32 of shape (3, 8); accepted: a floating-point tensor of shape (2, 8), one vector a sample""",
    )


def test_bad_requests() -> None:
    """A profile, a law and an implementation that are none."""
    messages = refusals(
        InvalidInput,
        [
            lambda: check_implementation(Right(), profile="fast", isolated=False),
            lambda: check_implementation([1, 2], isolated=False),
            lambda: check_implementation(Right(), laws=["decision.is_nice"], isolated=False),
        ],
    )

    assert_expected_inline(
        re.sub(r"(stage: [\w.]+, [\w.]+).*", r"\1, ...", messages),
        """\
given profile='fast'; accepted: quick, ci, deep
given list, of which nothing can be measured: it has none of the contract's methods; accepted: an object with one or more of selector, aggregator, pipeline, multimodal, branches, model
given law 'decision.is_nice'; accepted: a law's id, as `sdtps laws` lists them, or a stage: shape, gradient, ...""",
    )


TARGETS = {
    "printed_mine": "class Nothing:\n    pass\n\nclass Picky:\n    def __init__(self, config):\n        pass\n",
    "printed_broken": "mine = = 1\n",
    "printed_quits": "raise SystemExit('bye')\n",
}


def test_bad_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each, with what the place offers where the attribute is not there."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name, source in TARGETS.items():
        (tmp_path / f"{name}.py").write_text(source)
    targets = [
        "nobodys",
        "no_such_package:Mine",
        f"{tmp_path}/absent.py:Mine",
        f"{tmp_path}/printed_broken.py:Mine",
        f"{tmp_path}/printed_quits.py:Mine",
        f"{tmp_path}/printed_mine.py:Yours",
        f"{tmp_path}/printed_mine.py:Nothing",
        f"{tmp_path}/printed_mine.py:Picky",
    ]

    messages = refusals(TargetError, [lambda target=target: load(target) for target in targets])

    assert_expected_inline(
        messages.replace(str(tmp_path), "FOLDER"),
        """\
given target 'nobodys', which is neither a module nor an entry point of group sdtps.implementations (none is installed); accepted: package.module:attribute or path/to/file.py:attribute, the attribute left out where the classes have a published signature; or the name under which an installed package offers one
no_such_package could not be imported: No module named 'no_such_package'; accepted: package.module:attribute or path/to/file.py:attribute, the attribute left out where the classes have a published signature; or the name under which an installed package offers one
there is no file FOLDER/absent.py
FOLDER/printed_broken.py is not Python: invalid syntax at line 1
FOLDER/printed_quits.py raised SystemExit when imported: bye
FOLDER/printed_mine.py has no attribute 'Yours'; it offers Nothing, Picky
FOLDER/printed_mine.py:Nothing is Nothing with none of the contract's methods; accepted: an object with one or more of selector, aggregator, pipeline, multimodal, branches, model, a torch module's class, or a function that returns (module, args)
FOLDER/printed_mine.py:Picky() raised TypeError: Picky.__init__() missing 1 required positional argument: 'config'; accepted: no arguments""",
    )
