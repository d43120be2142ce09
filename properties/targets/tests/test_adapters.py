"""Modules in the published shapes: recognised, the right ones certified, the wrong ones refused by the right law."""

import importlib.util
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from sdtps_ref.__main__ import main
from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.contract import provided
from sdtps_ref.properties.engine.certify import check_implementation
from sdtps_ref.properties.engine.settings import Profile
from sdtps_ref.properties.targets.adapters import Adapted, adapt
from sdtps_ref.properties.targets.adapters.substitution import Place, find_score
from sdtps_ref.properties.targets.target import loader, resolve

FEW = Profile("few", examples=3, minimum=1, shrink=False)
COUNT = itertools.count()
Load = Callable[..., ModuleType]
slow = pytest.mark.slow


def source(name: str) -> str:
    """The text of a module in a published shape."""
    return (files("sdtps_ref.properties.selftest.published") / f"{name}.py").read_text()


@pytest.fixture
def stranger(tmp_path: Path) -> Load:
    """Loads the text of a published shape from a file elsewhere, with some of it replaced."""

    def load_changed(name: str, *changes: tuple[str, str]) -> ModuleType:
        text = source(name)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / f"stranger_{next(COUNT)}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load_changed


def adapted(module: ModuleType) -> Adapted:
    """The module behind the contract."""
    found, notes = adapt(module)
    assert found is not None, notes
    return found


def certificate(module: ModuleType, *laws: str) -> Certificate:
    """The module held to these laws, or to all."""
    return check_implementation(adapted(module), laws=laws or None, profile=FEW, reproduce=False, isolated=False)


def refused_by(module: ModuleType, *laws: str) -> list[str]:
    """The MUST laws that refuse it; asserts that nothing went wrong on our side."""
    results = certificate(module, *laws).laws
    assert not [law.failure for law in results if law.refuses and law.status == "error"]
    return [law.id for law in results if law.refuses]


@pytest.mark.parametrize(
    ("name", "methods", "says"),
    [
        ("text_guided", ("selector", "aggregator"), "attention_x is the score, attention_y zero"),
        (
            "multi_modal",
            ("selector", "aggregator", "pipeline", "multimodal", "model"),
            "the law's score takes the place of the one that it makes",
        ),
        ("older", ("selector",), "recognised as text-guided TokenSparse"),
    ],
)
def test_published_shapes_are_recognised(stranger: Load, name: str, methods: tuple[str, ...], says: str) -> None:
    """By name and signature, with the contract's methods that each of them can give."""
    found = adapted(stranger(name))

    assert provided(found) == methods
    assert says in "; ".join(found.found)


@slow
@pytest.mark.parametrize(("name", "level"), [("text_guided", "selection"), ("multi_modal", "full")])
def test_right_ones_are_certified(stranger: Load, name: str, level: str) -> None:
    """Every MUST law that applies passes, at the level that the module's parts allow."""
    found = certificate(stranger(name))

    assert found.verdict == "certified", [(law.id, law.failure or law.reason) for law in found.laws if law.refuses]
    assert found.level == level
    assert found.diagnosis["noise"] == "Gumbel(0, 1)"


@pytest.mark.parametrize(
    "laws", [["gradient.well_conditioned"], pytest.param(["gradient", "aggregation", "multimodal"], marks=slow)]
)
@pytest.mark.slow
def test_the_published_mask_is_certified_with_a_warning(stranger: Load, laws: list[str]) -> None:
    """As most people have it, 1e10 and all: certified, and told the gain."""
    added = "weight + log_policy.unsqueeze(1)"
    module = stranger("multi_modal", (added, "weight - (1 - keep_policy).unsqueeze(1) * 1e10"))

    found = certificate(module, *laws)

    assert found.verdict == "certified", [(law.id, law.failure or law.reason) for law in found.laws if law.refuses]
    assert found.diagnosis["gain"] == pytest.approx(1e10, rel=1e-3)
    assert "gradient.well_conditioned" in [law.id for law in found.laws if law.warns]


def test_a_mask_without_a_pipeline_is_warned_of_as_well(stranger: Load) -> None:
    """Classes alone show no wiring, but the gain of 1e10 is in the aggregation: it is named all the same."""
    added = "weight + log_policy.unsqueeze(1)"
    module = stranger("text_guided", (added, "weight - (1 - keep_policy).unsqueeze(1) * 1e10"))

    found = certificate(module, "gradient.well_conditioned")

    assert "pipeline" not in provided(adapted(module))
    assert found.verdict == "certified", [(law.id, law.failure or law.reason) for law in found.laws if law.refuses]
    assert "gradient.well_conditioned" in [law.id for law in found.laws if law.warns]


@pytest.mark.parametrize(
    ("name", "law", "status", "says"),
    [
        (
            "text_guided",
            "decision.forward_is_hard",
            0,
            ("TokenSparse recognised as text-guided TokenSparse (LAPS, SEPS)", "CERTIFIED, in part"),
        ),
        (
            "older",
            "call.gradient_reaches_score",
            1,
            ("no D with a gradient", "REFUSED by call.gradient_reaches_score", "the choice is a hard mask"),
        ),
    ],
)
def test_the_command_says_what_it_took(
    name: str, law: str, status: int, says: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file with no attribute: its adapter, else the call alone; the verdict; all of it on record."""
    path, record = tmp_path / "my_laps.py", tmp_path / "certificate.json"
    path.write_text(source(name))

    ended = main(["certify", str(path), "--law", law, "--in-process", "--json", str(record)])

    said = " ".join(capsys.readouterr().out.split())
    kept = json.loads(record.read_text())["implementation"]
    assert ended == status, said
    assert all(part in said for part in says)
    assert kept["adapters"][0].startswith("TokenSparse(") and kept["sha256"]


WRONG = [
    ("text_guided", "hard + (soft - soft.detach())", "hard", "gradient.reaches_score"),
    pytest.param("multi_modal", "hard + (soft - soft.detach())", "hard", "gradient.reaches_score", marks=slow),
    ("multi_modal", "hard + (soft - soft.detach())", "hard + soft - soft.detach()", "decision.forward_is_hard"),
    ("multi_modal", "aggr(selected, selected_mask)", "aggr(selected)", "gradient.reaches_score"),
    pytest.param(
        "multi_modal",
        "aggr(selected, selected_mask)",
        "aggr(selected, selected_mask.detach())",
        "gradient.reaches_score",
        marks=slow,
    ),
    ("multi_modal", "(logits / self.gumbel_tau)", "(logits)", "decision.backward_is_softmax"),
    (
        "multi_modal",
        "selected_mask = score_mask",
        "selected_mask = score_mask.flip(1)",
        "selection.decision_is_aligned",
    ),
    ("multi_modal", "torch.topk(score, keep, dim=1)", "torch.topk(-score, keep, dim=1)", "decision.keeps_top_k"),
    ("text_guided", ".softmax(dim=2) @ x", ".softmax(dim=1) @ x", "aggregation.is_convex"),
]


@pytest.mark.parametrize(("name", "right", "wrong", "law"), WRONG)
@pytest.mark.slow
def test_wrong_ones_are_refused(stranger: Load, name: str, right: str, wrong: str, law: str) -> None:
    """One line changed, and the law that speaks of it refuses."""
    assert law in refused_by(stranger(name, (right, wrong)), law)


@pytest.mark.parametrize(("name", "right", "wrong", "law"), WRONG)
@pytest.mark.slow
def test_a_script_needs_torch_and_the_file_alone(
    stranger: Load, name: str, right: str, wrong: str, law: str, tmp_path: Path
) -> None:
    """Where this project cannot be imported it shows the fault, and nothing once the file is mended."""
    module = stranger(name, (right, wrong))
    (failed,) = (result.failure for result in certificate(module, law).laws if result.failure)
    (tmp_path / "script.py").write_text(failed.script)
    (tmp_path / "sdtps_ref.py").write_text("raise ImportError('not installed here')\n")

    shown = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    Path(module.__file__).write_text(source(name))
    mended = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)

    assert (shown.returncode, shown.stdout.split()[-1:]) == (1, ["reproduced"]), shown.stderr
    assert (mended.returncode, mended.stdout.split()[-2:]) == (0, ["not", "reproduced"]), mended.stderr


@pytest.mark.slow
def test_noisy_top_k_is_refused(stranger: Load) -> None:
    """Though the score is replaced, noise that chooses in the forward pass is seen."""
    keep = "        keep_indices = torch.topk(score, keep, dim=1).indices\n"
    hard = "        hard = nn.functional.one_hot(keep_indices, count).sum(1).to(score.dtype)\n"
    late = keep.replace("topk(score", "topk(logits") + hard
    soft = "        soft = (logits"

    module = stranger("multi_modal", (keep + hard, ""), (soft, late + soft))

    assert "decision.ignores_noise_forward" in refused_by(module, "decision.ignores_noise_forward")


@pytest.mark.slow
def test_an_older_version_fails_plainly(stranger: Load, capsys: pytest.CaptureFixture[str]) -> None:
    """Fewer items, a hard mask, a word at construction: a failure of one law, no crash, and nothing printed."""
    module = stranger("older")
    found = check_implementation(adapted(module), profile=FEW, reproduce=False, isolated=False)

    results = {law.id: law for law in found.laws}
    notes = " ".join(found.implementation["notes"])
    assert [law.id for law in found.laws if law.refuses] == ["gradient.reaches_score"]
    assert "no straight-through path: the score is never trained" in results["gradient.reaches_score"].failure.message
    for said in ("returns no extra_token", "prints at construction", "takes no temperature", "no aggregator found"):
        assert said in notes
    assert capsys.readouterr().out == ""


def test_what_cannot_be_judged_is_skipped_by_name(stranger: Load) -> None:
    """Where the score is replaced, a compiler is not asked; two modalities are not asked of three."""
    laws = "runtime.compiles", "multimodal.shape_follows_inputs"
    results = {law.id: law for law in certificate(stranger("multi_modal"), *laws).laws}

    assert results["runtime.compiles"].status == "skipped"
    assert "the adapter puts the law's score in the place" in results["runtime.compiles"].reason
    assert "its modalities are rgb, nir, tir" in results["multimodal.shape_follows_inputs"].reason


@pytest.mark.slow
def test_a_predictor_that_nothing_trains_is_told(stranger: Load) -> None:
    """The score's own network stands before the place where the score is put: a note says what D does not reach."""
    module = stranger("multi_modal", ("(tokens).squeeze(-1)", "(tokens).squeeze(-1).detach()"))

    notes = " ".join(adapted(module).notes)

    assert "score_mask has no gradient to score_predictor.0.weight" in notes
    assert "training.everything_is_trained" in refused_by(module, "training.everything_is_trained")


INSIDE = "(logits / self.gumbel_tau)"
KEEP = "        keep = max"
EVERYDAY = ("int", "in place", "tau before everything")
OTHER_WAYS = {
    "int": [("math.ceil(count * self.sparse_ratio)", "int(count * self.sparse_ratio)")],
    "round": [("math.ceil(count * self.sparse_ratio)", "round(count * self.sparse_ratio)")],
    "dropout, so that the score itself is random": [("nn.Linear(hidden, 1)", "nn.Dropout(0.5), nn.Linear(hidden, 1)")],
    "tau where tokens are chosen": [("torch.topk(score,", "torch.topk(score / self.gumbel_tau,")],
    "in place": [
        ("score = (1 - 2 * beta) * predicted + beta * guidance", "score = (1 - 2 * beta) * predicted"),
        (KEEP, f"        score.add_(beta * guidance)\n{KEEP}"),
    ],
    "another row made of the score": [("torch.topk(score,", "torch.topk(2 * score,")],
    "tau before everything": [
        (KEEP, f"        plain, score = score, score / self.gumbel_tau\n{KEEP}"),
        ("left = score.", "left = plain."),
        ("logits = score - ", "logits = score - 1 / self.gumbel_tau * "),
        (INSIDE, "logits"),
    ],
}


@pytest.mark.parametrize(
    "laws",
    [
        ["decision.keeps_top_k", "decision.backward_is_softmax"],
        pytest.param(["decision", "selection.extra_token_pools_dropped", "noise.is_gumbel"], marks=slow),
    ],
    ids=["few", "more"],
)
@pytest.mark.parametrize("way", [pytest.param(way, marks=() if way in EVERYDAY else slow) for way in OTHER_WAYS])
@pytest.mark.slow
def test_other_ways_to_write_it_are_not_accused(stranger: Load, way: str, laws: list[str]) -> None:
    """Rounding, dropout and the order of steps are the module's own affair."""
    module = stranger("multi_modal", *OTHER_WAYS[way])

    assert {"selector", "pipeline"} <= set(provided(adapted(module)))
    assert not refused_by(module, *laws)


def test_a_path_that_is_off_by_default_is_told(stranger: Load) -> None:
    """Judged with use_gumbel=True, a module that is hard without it passes; a note says what its default does."""
    module = stranger(
        "multi_modal", ("hard + (soft - soft.detach())", "hard + (soft - soft.detach()) if self.use_gumbel else hard")
    )

    assert "built without use_gumbel=True its score_mask has no gradient" in " ".join(adapted(module).notes)


def test_score_is_found_behind_a_gradient_of_ones_own() -> None:
    """An autograd.Function, which no call of torch shows, does not hide where the score is made."""

    class Through(torch.autograd.Function):
        @staticmethod
        def forward(ctx, soft, hard):
            return hard.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad, None

    weight = nn.Linear(4, 1)
    given = [torch.randn(2, 7, 4, generator=torch.Generator().manual_seed(i)) for i in (0, 1)]

    def decide(i: int) -> torch.Tensor:
        score = torch.sigmoid(weight(given[i])).squeeze(-1) * 2
        kept = score.topk(3, dim=1).indices
        return Through.apply(score.softmax(-1), torch.zeros_like(score).scatter(1, kept, 1.0))

    found = find_score(decide, (2, 7), 0.7)

    assert isinstance(found, Place)
    assert found.name in ("mul", "__mul__")


def test_a_class_by_its_attribute(tmp_path: Path) -> None:
    """A published class can be named itself; a script of a failure finds it again."""
    path = tmp_path / "by_attribute.py"
    path.write_text(source("text_guided"))

    found = resolve(f"{path}:TokenAggregation")

    assert provided(found.implementation) == ("aggregator",)
    assert "no selector found" in found.notes
    text = loader(f"{path}:TokenAggregation", found.implementation).text
    assert str(path.parent) in text and "from by_attribute import TokenAggregation" in text
