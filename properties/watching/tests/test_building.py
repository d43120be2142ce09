"""Trial: classes are built by the names of their arguments and called with shapes that their names suggest."""

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from sdtps_ref.properties.watching.building import find_subjects
from sdtps_ref.properties.watching.sizes import KEPT, WIDTH

Write = Callable[[str], ModuleType]

HEAD = "import torch\nfrom torch import nn\n"
PICK = """
class Pick(nn.Module):
    def __init__(self, {arguments}):
        super().__init__()
        {first}
        self.keep = {keep}
        self.rate = nn.Linear({dim}, 1)

    def forward(self, {call}):
        score = self.rate({tokens}).squeeze(-1)
        soft = score.softmax(-1)
        hard = torch.zeros_like(score).scatter(-1, score.topk(self.keep).indices, 1.0)
        return (hard + (soft - soft.detach())).unsqueeze(-1) * {tokens}
"""
USUAL = {"arguments": "dim, keep", "first": "pass", "keep": "keep", "dim": "dim", "call": "tokens", "tokens": "tokens"}


def pick(**changes: str) -> str:
    """The source of a file with one class that keeps tokens, some of it changed."""
    return HEAD + PICK.format(**USUAL | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"arguments": "embed_dim=768, sparse_ratio=0.5", "dim": "embed_dim", "keep": "int(16 * sparse_ratio)"},
        {"arguments": "cfg", "dim": "cfg.hidden_size", "keep": "cfg.num_keep"},
        {"arguments": "args, logger=None", "dim": "args['d_model']", "keep": "args.get('topk', 6)"},
        {"call": "*, features", "tokens": "features"},
        {"call": "batch", "tokens": "batch['a']"},
        {"call": "batch", "tokens": "(batch['rgb'] * batch['valid'].unsqueeze(-1))"},
        {"call": "visual, text_lens, mask=None", "tokens": "visual"},
        {"call": "tokens, xyz", "tokens": "tokens[:, : xyz[..., :3].view(len(xyz), -1, 3).shape[1]]"},
    ],
    ids=["names", "defaults", "attributes", "keys", "keyword", "dictionary", "names of its own", "lengths", "points"],
)
def test_it_is_built_and_called(written: Write, changes: dict[str, str]) -> None:
    """Sizes, configuration objects and kinds of argument are found by their names; the report says which."""
    outcome = find_subjects(written(pick(**changes)))

    assert [subject.name for subject in outcome.subjects] == ["Pick"]
    assert outcome.subjects[0].told.startswith("Pick(")
    assert " called with " in outcome.subjects[0].told


def test_sizes_are_small_and_told_apart(written: Write) -> None:
    """K and C are given by name; what was built and called says so."""
    (subject,) = find_subjects(written(pick())).subjects

    assert subject.told == f"Pick(dim={WIDTH}, keep={KEPT}) called with tokens [3, 16, {WIDTH}]"


def test_the_outermost_class_goes_first(written: Write) -> None:
    """A class that another one holds is judged inside it, and not once more by itself."""
    outer = """
class Model(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.inner = Pick(width, 6)

    def forward(self, picture):
        return self.inner(picture).mean(1)
"""
    outcome = find_subjects(written(pick() + outer))

    assert [subject.name for subject in outcome.subjects] == ["Model"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"arguments": "registry"}, "nothing is known of its argument registry"),
        ({"first": "raise KeyError('config')"}, "building it raised KeyError: 'config'"),
        ({"first": "raise SystemExit('no weights')"}, "building it raised SystemExit: no weights"),
        ({"first": f"raise ValueError({'x' * 999!r})"}, "building it raised ValueError: xxx"),
        ({"tokens": "exit(1)"}, "SystemExit: 1"),
        ({"tokens": "tokens.nothing()"}, "AttributeError: 'Tensor' object has no attribute 'nothing'"),
    ],
)
def test_why_it_could_not_is_told(written: Write, changes: dict[str, str], says: str) -> None:
    """In one line that is not too long: an argument that nothing is known of, or what was raised, an exit included."""
    outcome = find_subjects(written(pick(**changes)))

    assert not outcome.subjects
    assert outcome.refused["Pick"].startswith(says)
    assert len(outcome.refused["Pick"]) < 200 and "\n" not in outcome.refused["Pick"]


def test_trying_leaves_no_trace(
    written: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    """What a class prints or warns of while it is tried is not shown, and no file is written."""
    loud = "print('built'); import sys, warnings; print('hm', file=sys.stderr); warnings.warn('old')"
    module = written(pick(first=loud))
    before = sorted(os.listdir(tmp_path))

    outcome = find_subjects(module)

    assert outcome.subjects
    assert capsys.readouterr() == ("", "")
    assert not [warning for warning in recwarn if "old" in str(warning.message)]
    assert sorted(os.listdir(tmp_path)) == before


def test_what_cannot_be_built_gives_way_to_the_next_that_chooses(written: Write) -> None:
    """An outer class that is not to be had, and one that only runs, do not hide the one inside that ranks."""
    outer = """
class Model(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.inner = Pick(width, 6)
        raise RuntimeError("no weights")

    def forward(self, picture):
        return self.inner(picture)


class Plain(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.made_by = Model

    def forward(self, picture):
        return picture * 2
"""
    outcome = find_subjects(written(pick() + outer))

    assert [subject.name for subject in outcome.subjects] == ["Pick"]
    assert [subject.name for subject in outcome.called] == ["Plain"]
    assert outcome.refused["Model"].startswith("building it raised RuntimeError: no weights")


def test_what_is_none_by_default_is_given_before_all_else_is_tried(written: Write) -> None:
    """Two that belong together, behind three that are required."""
    call = "img_embs, cap_embs, cap_lens, long_caps=None, long_lens=None"
    changes = {"call": call, "tokens": "img_embs", "first": "pass"}
    source = pick(**changes).replace(
        "        score =", "        assert long_caps.shape[1] == max(long_lens)\n        score ="
    )

    (subject,) = find_subjects(written(source)).subjects

    assert "long_caps [3, 12, 32], long_lens [12, 11, 10]" in subject.told


@pytest.mark.parametrize("name", ["Ranked", "ranked"])
def test_a_call_of_its_own_and_a_function_without_torch_are_tried(written: Write, name: str) -> None:
    """A module may have `__call__` in place of forward, and a function may leave the work to one."""
    source = (
        pick()
        + """
class Ranked(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.pick = Pick(dim, 6)

    def __call__(self, tokens):
        return self.pick(tokens)


def ranked(tokens):
    return Ranked(tokens.shape[-1])(tokens)
"""
    )
    (subject,) = find_subjects(written(source), name).subjects

    assert subject.told.endswith("called with tokens [3, 16, 32]")


def test_a_file_has_its_time(written: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not tried because the time is over says so."""
    monkeypatch.setattr("sdtps_ref.properties.watching.building.ALTOGETHER", -1.0)

    outcome = find_subjects(written(pick()))

    assert outcome.refused["Pick"].startswith("not tried")


def test_a_switch_is_turned_on_and_told(written: Write) -> None:
    """Where the mechanism is off by default it is judged switched on, beside the same call with the default."""
    switched = pick(arguments="dim, keep, use_gumbel=False", first="self.on = use_gumbel")
    switched = switched.replace(
        "(hard + (soft - soft.detach()))", "(hard + (soft - soft.detach()) if self.on else hard)"
    )

    (subject,) = find_subjects(written(switched)).subjects

    assert list(subject.switches) == ["use_gumbel"]
    assert subject.module is not None and subject.module.on is True
    assert subject.by_default is not None and subject.by_default.module.on is False


def test_the_callers_generator_is_drawn_from_by_seed_alone(written: Write) -> None:
    """Whatever was drawn before, the same file is built with the same weights."""
    weights = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        (subject,) = find_subjects(written(pick())).subjects
        weights.append(subject.module.rate.weight)

    assert torch.equal(*weights)
