"""The certifier as a library: verdicts, statuses, determinism, and what it owes to its caller."""

import json
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from torch import Tensor

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties import Selection, check_implementation
from sdtps_ref.properties.certificates.certificate import Certificate, Failure, LawResult, digest
from sdtps_ref.properties.contract import provided
from sdtps_ref.properties.engine.certify import judge
from sdtps_ref.properties.engine.reproduce import reproduced
from sdtps_ref.properties.engine.settings import Profile, RunSettings
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.reference import Reference
from sdtps_ref.properties.reports.console import print_summary
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, Plain, plant_all

plant_all()
FEW = Profile("few", examples=4, minimum=2)
slow = pytest.mark.slow


class SelectorOnly:
    """One part of the plain implementation."""

    name = "selector only"
    selector = Plain().selector


@pytest.fixture(scope="module")
def of_selector() -> Certificate:
    """What all laws of the profile say of it."""
    return check_implementation(SelectorOnly(), profile=FEW, isolated=False)


def laws_of(implementation):
    """Ids of the laws that speak of an implementation of its kind: those of a call are not about a contract by hand."""
    return [law.id for law in all_laws().values() if law.speaks_of(provided(implementation))]


def by_id(certificate):
    """The results of a certificate by law."""
    return {result.id: result for result in certificate.laws}


@slow
@pytest.mark.parametrize("mask", ["subtract", "log"])
def test_reference_is_certified(mask: str) -> None:
    """Both masks are certified; only the published one is warned of, with the gain it has."""
    certificate = check_implementation(Reference(mask), profile=FEW, isolated=False)

    warned = [result.id for result in certificate.laws if result.warns]
    assert certificate.verdict == "certified"
    assert certificate.level in ("pipeline", "full")
    assert certificate.exit_status == 0
    assert ("gradient.well_conditioned" in warned) == (mask == "subtract")
    assert certificate.diagnosis["gain"] == pytest.approx(1e10 if mask == "subtract" else 1, rel=1e-6)


@pytest.mark.parametrize("mask", ["subtract", "log"])
@pytest.mark.slow
def test_the_references_gain_is_told(mask: str) -> None:
    """The published mask is certified and warned of; the other one is not."""
    certificate = check_implementation(
        Reference(mask), profile=FEW, laws=["gradient.well_conditioned"], reproduce=False, isolated=False
    )

    warned = [result.id for result in certificate.laws if result.warns]
    assert certificate.verdict == "certified"
    assert warned == (["gradient.well_conditioned"] if mask == "subtract" else [])
    assert certificate.diagnosis["gain"] == pytest.approx(1e10 if mask == "subtract" else 1, rel=1e-6)


def test_published_sizes_are_tried() -> None:
    """A law that speaks of any size is judged at the published one as well."""
    seen = []

    class Watched(Plain):
        def selector(self, **sizes):
            seen.append(tuple(sizes.values())[:3])
            return super().selector(**sizes)

    check_implementation(Watched(), profile=FEW, laws=["decision.forward_is_hard"], isolated=False)

    assert (512, 128, 64) in seen


def test_failure_says_what_where_and_how_to_see_it() -> None:
    """A failure carries a message with an index, the smallest case, and a script that was run."""
    certificate = check_implementation(FAULTS["NoParentheses"](), laws=["decision.forward_is_hard"], isolated=False)

    failure = by_id(certificate)["decision.forward_is_hard"].failure
    assert certificate.verdict == "refused"
    assert certificate.exit_status == 1
    assert "decision[b=" in failure.message and "but should be" in failure.message
    assert failure.case.num_tokens <= 8
    assert failure.reproduced is True


@pytest.mark.parametrize("laws", ["named", pytest.param("all", marks=slow)])
@pytest.mark.parametrize("name", ["DecisionDetached", "PublishedMask", "FlatIndices", "GradientOfTheWrongSign"])
@pytest.mark.slow
def test_scripts_of_objects_reproduce(name: str, laws: str) -> None:
    """Scripts of an implementation without a target run in this process, and show the failure."""
    fault = FAULTS[name]

    certificate = check_implementation(
        fault(), profile=FEW, laws=[fault.expected_law] if laws == "named" else None, isolated=False
    )

    failures = [result.failure for result in certificate.laws if result.failure]
    assert failures
    assert all(failure.reproduced or not failure.judges for failure in failures)


@slow
def test_script_of_a_target_needs_torch_only() -> None:
    """The script of an importable implementation runs in a fresh interpreter and shows the failure."""
    target = "sdtps_ref.properties.selftest.planted.selection:SoftForward"
    certificate = check_implementation(
        FAULTS["SoftForward"](), profile=FEW, laws=["decision.forward_is_hard"], target=target, isolated=False
    )

    failure = by_id(certificate)["decision.forward_is_hard"].failure
    assert failure.reproduced is True
    assert "from sdtps_ref.properties.selftest.planted.selection import SoftForward" in failure.script


@pytest.mark.slow
def test_a_script_is_not_hidden_by_the_one_before_it() -> None:
    """What one script leaves set in the interpreter that they share is not there when the next one is judged."""
    shows = "import torch\nprint('seen', torch.is_anomaly_enabled())\nprint('reproduced')\n"
    leaves = shows + "torch.autograd.set_detect_anomaly(True)\n"
    needs = "import torch\nprint('seen')\nprint('not reproduced' if torch.is_anomaly_enabled() else 'reproduced')\n"
    failures = [Failure("", Case(2, 6, 3, 8, 2), script) for script in (leaves, needs)]

    shown = reproduced(failures, None, has_target=True)

    assert shown == [True, True]


def test_one_exception_is_one_cause(capsys: pytest.CaptureFixture[str]) -> None:
    """Many laws end in the same exception: one cause explains them all, and the last screen says it once."""

    class Raising(Plain):
        def select(self, *arguments: object) -> Selection:
            raise KeyError("no such modality")

    certificate = check_implementation(Raising(), profile=FEW, laws=["shape", "runtime"], isolated=False)
    print_summary(Console(width=200), certificate)

    errors = {result.id for result in certificate.laws if result.failure and "KeyError" in result.failure.message}
    cause, *others = certificate.causes
    said = capsys.readouterr().out
    assert len(errors) > 1
    assert cause.kind == "shape.follows_inputs"
    assert set(cause.explains) == errors
    assert not any("KeyError" in other.sentence for other in others)
    assert said.count("cause     selector raised KeyError") == 1


def test_foundations_block() -> None:
    """One cause gives one failure: what rests on a broken law is blocked, and says by which."""
    laws = ["decision.forward_is_hard"]  # and what it rests on

    results = by_id(
        check_implementation(FAULTS["KeepsOneMore"](), profile=FEW, laws=laws, reproduce=False, isolated=False)
    )

    assert results["shape.follows_inputs"].status == "failed"
    assert results["decision.forward_is_hard"].status == "blocked"
    assert "shape.follows_inputs" in results["decision.forward_is_hard"].reason


def test_missing_methods_are_skipped_by_name(of_selector: Certificate) -> None:
    """A selector alone is certified at the level `selection`; the laws it cannot face say what they need."""
    skipped = by_id(of_selector)["aggregation.equals_gather_first"]

    assert of_selector.verdict == "certified"
    assert of_selector.level == "selection"
    assert skipped.status == "skipped"
    assert "needs aggregator" in skipped.reason


def test_an_implementation_that_raises_is_an_error() -> None:
    """Raising on the first call gives status error, one line, and a verdict that nothing was measured."""

    class Raising(Plain):
        def select(self, *arguments: object) -> Selection:
            raise KeyError("no such modality")

        def aggregate(self, *arguments: object) -> Tensor:
            raise KeyError("no such modality")

    certificate = check_implementation(Raising(), profile=FEW, isolated=False)

    shape = by_id(certificate)["shape.follows_inputs"]
    assert certificate.verdict == "error"
    assert certificate.exit_status == 2
    assert shape.status == "error"
    assert shape.failure.message == "selector raised KeyError: 'no such modality'"
    assert shape.failure.reproduced is True


def test_an_object_without_methods_is_refused_at_once() -> None:
    """An object with none of the contract's methods is bad input."""
    with pytest.raises(InvalidInput, match=r"given list.*accepted: an object with one or more of selector"):
        check_implementation([1, 2], isolated=False)


@pytest.mark.parametrize(("name", "value"), [("profile", "fast"), ("laws", ["decision.is_nice"])])
def test_unknown_names_are_refused(name: str, value: object) -> None:
    """An unknown profile or law is bad input, and the message lists what there is."""
    with pytest.raises(InvalidInput, match=r"accepted: .*(quick|decision)"):
        check_implementation(Plain(), **{name: value}, isolated=False)


@pytest.mark.parametrize("laws", [["decision.keeps_top_k"], pytest.param(None, marks=slow)])
def test_same_seed_same_certificate(laws: list[str] | None) -> None:
    """Times aside, a certificate is a function of the implementation, the profile and the seed."""
    drawn = []

    class Watched(FAULTS["KeepsLowest"]):
        def selector(self, **sizes):
            drawn[-1].append(tuple(sizes.values()))
            return super().selector(**sizes)

    def record(seed: int) -> dict:
        drawn.append([])
        certificate = check_implementation(
            Watched(), profile=replace(FEW, shrink=laws is None), seed=seed, laws=laws, reproduce=False, isolated=False
        ).to_json()
        for law in certificate["laws"]:
            del law["seconds"], law["seconds_inside"]
        return {name: certificate[name] for name in ("verdict", "laws")}

    assert record(3) == record(3)
    record(4)
    assert drawn[0] == drawn[1] != drawn[2]


def test_json_record_is_whole(of_selector: Certificate) -> None:
    """The record has the fields that it promises, survives JSON, and its digest notices a change."""
    record = json.loads(json.dumps(of_selector.to_json()))

    law = record["laws"][0]
    assert set(record) >= {"verdict", "level", "implementation", "environment", "diagnosis", "laws"}
    assert set(law) >= {"id", "level", "status", "examples", "seconds", "failure"}
    assert [law["id"] for law in record["laws"]] == laws_of(SelectorOnly())
    assert digest(record) == record["sha256"]
    assert digest(record | {"verdict": "refused"}) != record["sha256"]


def test_a_certificate_reads_back_from_its_record() -> None:
    """Through JSON text and back, failures with their cases included, nothing is lost."""
    written = check_implementation(
        FAULTS["NoParentheses"](), profile=FEW, laws=["decision"], reproduce=False, isolated=False
    )

    read = Certificate.from_json(json.loads(json.dumps(written.to_json())))

    assert any(result.failure for result in written.laws)
    assert read == written


def test_callers_state_is_left_alone() -> None:
    """Global generator, thread count and grad mode are as they were."""
    torch.manual_seed(11)
    before, threads = torch.get_rng_state(), torch.get_num_threads()

    with torch.no_grad():
        certificate = check_implementation(Plain(), profile=FEW, laws=["gradient.reaches_score"], isolated=False)
        assert not torch.is_grad_enabled()

    assert certificate.verdict == "certified"
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_closures_are_moved_too() -> None:
    """A factory may return a function around its module; the module is moved to the case's dtype all the same."""

    class Closures(Plain):
        def aggregator(self, **sizes):
            module = super().aggregator(**sizes)
            return lambda tokens, decision=None: module(tokens, decision)

    certificate = check_implementation(Closures(), profile=FEW, laws=["aggregation"], isolated=False)

    assert certificate.verdict == "certified"


@slow
def test_zero_initialised_weights_are_stirred() -> None:
    """A last layer that starts at zero gives uniform weights, on which a wrong mask looks right: it still fails."""

    class ZeroInit(FAULTS["WeakMask"]):
        def aggregator(self, **sizes):
            module = super().aggregator(**sizes)
            torch.nn.init.zeros_(module.layers[-1].weight)
            torch.nn.init.zeros_(module.layers[-1].bias)
            return module

    law = "aggregation.ignores_dropped_tokens"
    certificate = check_implementation(ZeroInit(), profile=FEW, laws=[law], reproduce=False, isolated=False)

    assert by_id(certificate)[law].status == "failed"


def test_a_law_that_could_tell_nothing_does_not_pass() -> None:
    """An aggregator that returns zeros agrees with itself everywhere: that is not evidence, and not a pass."""

    class Zeros(Plain):
        def weights(self, logits: Tensor) -> Tensor:
            return torch.zeros_like(logits)

    law = "aggregation.equals_gather_first"
    result = by_id(check_implementation(Zeros(), profile=FEW, laws=[law], reproduce=False, isolated=False))[law]

    assert result.status == "skipped"
    assert "cases said something" in result.reason


def test_compiling_is_left_to_the_profiles_that_have_time_for_it(of_selector: Certificate) -> None:
    """A law that compiles is skipped by name in profile quick."""
    left_out = by_id(of_selector)["runtime.compiles"]

    assert left_out.status == "skipped"
    assert "no time for budget 'compile'" in left_out.reason


@slow
def test_compiling_is_judged_where_it_is_asked_for_by_name() -> None:
    """Whatever the profile has time for."""
    law = "runtime.compiles"
    asked_for = by_id(check_implementation(Plain(), laws=[law], profile=FEW, isolated=False))[law]

    assert asked_for.status == "passed"


def test_some_laws_certify_in_part() -> None:
    """Who asked for some laws only is told so, and gets no level."""
    certificate = check_implementation(Plain(), profile=FEW, laws=["shape"], isolated=False)

    assert certificate.verdict == "certified"
    assert certificate.level is None
    assert certificate.environment["laws"] == ["shape"]


EVERYDAY = {("weights", "text"), ("soft", "nothing"), ("choose", "text")}  # quickly judged


@pytest.mark.parametrize(
    ("step", "makes"),
    [
        pytest.param(step, makes, marks=() if (step, makes) in EVERYDAY else slow)
        for makes in (float("nan"), float("inf"), "nothing", "text")
        for step in ("logits", "weights", "soft", "gather", "choose")
    ],
)
def test_nonsense_is_refused_and_takes_nothing_down(step: str, makes: object) -> None:
    """Whatever a step returns, each law gets a status, and the verdict is not that all is well."""

    def nonsense(self: Plain, *arguments: object) -> object:
        if isinstance(makes, str):
            return None if makes == "nothing" else makes
        right = getattr(Plain, step)(self, *arguments)
        return torch.full_like(right, makes) if right.is_floating_point() else right - 10_000

    wrong = type("Wrong", (Plain,), {step: nonsense})()

    certificate = check_implementation(wrong, profile=replace(FEW, shrink=False), reproduce=False, isolated=False)

    assert [law.id for law in certificate.laws] == laws_of(wrong)
    assert certificate.verdict in ("refused", "error")


def test_a_law_that_stumbles_is_an_error_of_that_law() -> None:
    """An exception in a law's own code is that law's status, not the certifier's end."""
    stumbling = replace(all_laws()["shape.follows_inputs"], check=lambda probe: 1 / 0)

    result = judge(stumbling, Plain(), {}, RunSettings(FEW))

    assert result.status == "error"
    assert result.failure is not None
    assert "judging shape.follows_inputs raised ZeroDivisionError" in result.failure.message


@slow
def test_code_that_compiles_itself_is_no_other_case() -> None:
    """Laws go backward more than once through one graph, which inductor forbids where it reuses its buffers."""

    @torch.compile(dynamic=True)
    def softmax(values: Tensor) -> Tensor:
        return values.exp() / values.exp().sum(-1, keepdim=True)

    class CompilesItself(Plain):
        def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
            return softmax((score + noise) / tau)

    once = replace(all_laws()["decision.backward_is_linear"], domain=Domain(fixed=(Case(2, 6, 3, 8, 2),)))

    result = judge(
        once, CompilesItself(), {base: LawResult(base, "MUST", "passed") for base in once.depends}, RunSettings(FEW)
    )

    assert result.status == "passed", result.failure
