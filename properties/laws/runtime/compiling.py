"""The same code compiled and exported: the part of `runtime` whose laws take seconds each."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from functools import cache

import torch

from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.execution_modes import Region, compiled, compiled_whole, exported, train_step
from sdtps_ref.properties.kit.expect import expect_close, expect_equal
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.kit.probe import Probe, SubjectError
from sdtps_ref.properties.kit.values import _is_filled, modules_in
from sdtps_ref.properties.laws.runtime.state import AXES

# Scores far enough apart that rounding in another order cannot change which are kept.
TRAIN = Case(batch=3, num_tokens=16, keep=8, dim=8, slots=3, tau=0.7, scores="distinct")
EVAL = Case(batch=3, num_tokens=16, keep=8, dim=8, slots=3, tau=0.7, scores="distinct", training=False)
EXACT = ("decision", "selected_tokens", "selected_decision")
# Times the largest entry; what is miscompiled is off by 1e-1 and more. Fused kernels sum in another
# order, and the gradient of a softmax cancels.
ROUNDING = 2e-3


@law(
    needs="selector|pipeline",
    depends="runtime.respects_the_generator",
    domain=Domain(fixed=(TRAIN,)),
    budget="compile",
)
def compiled_equals_eager(probe: Probe) -> None:
    """torch.compile(f)(tokens, score): forward D to the bit what eager gives, gradients within rounding, in training.

    Why: inductor (2.4 and 2.13 tried, on the CPU) returns D = 0 everywhere, without a word, when the
    hard mask is a `scatter` into zeros and the score that it is made from was normalised by a row
    reduction. The loss goes on falling, as it does without any selection.
    Breaks when: `zeros_like(score).scatter(...)` follows a min-max, mean or z-score in one compiled region,
    or the code takes another way when it is being compiled.
    Remedy: make the hard mask by comparison, `(keep_indices.unsqueeze(-1) == torch.arange(N)).any(-2).to(score.dtype)`,
    or keep the selector out of the compiled region with `torch.compiler.disable`.
    """
    for method, normalised in (("selector", False), ("selector", True), ("pipeline", True)):
        if method not in probe.methods:
            continue
        built = probe.build(method)
        what = f"compiled {method}" + (" behind a min-max normalised score" if normalised else "")
        region = probe.through(Region, built, normalised, name="region", doing=method)
        owed = probe.through(train_step, region, probe.tokens, probe.score, 0, name="eager", doing=method)
        try:
            with _quietly():
                fast = probe.through(compiled, region, name="fast", doing="torch.compile")
                seen = probe.through(train_step, fast, probe.tokens, probe.score, 0, name="seen", doing=what)
        except SubjectError as error:
            raise Unsupported(str(error)) from error
        for name, part in owed.items():
            if name in EXACT:
                named, axes = f"{name}[{AXES[name]}] of the {what}", AXES[name]
                expect_equal(probe, named, axes, seen[name], part, because="as eager has it")
        if not torch.equal(owed["next draws"], seen["next draws"]):
            continue  # it draws in another way when compiled, so that the gradients are not comparable
        for name, part in owed.items():
            if name.startswith("gradient") or name == "pooled tokens":
                within = ROUNDING * float(part.abs().amax())
                named, axes = f"{name}[{AXES[name]}] of the {what}", AXES[name]
                expect_close(probe, named, axes, seen[name], part, tolerance=within, because="as eager has it")


@law(
    needs="selector|aggregator|pipeline",
    level="SHOULD",
    domain=Domain(fixed=(TRAIN,)),
    budget="compile",
)
def compiles(probe: Probe) -> None:
    """torch.compile(f, fullgraph=True) succeeds, forward and backward: no graph break in a training step.

    Why: each graph break runs Python and copies to memory what a fused kernel would have kept in registers.
    Breaks when: a value decides what runs (`.item()`, `if mask.any():`, a boolean index, a check for NaN), or
    Python that dynamo cannot follow (numpy, print, a generator's state) stands in forward.
    Remedy: shapes decide, not values; `torch.where` and `gather`; skip checks of values while
    `torch.compiler.is_compiling()`.
    """
    _works_here(probe, "torch.compile", _compile_nothing)
    for method in ("selector", "aggregator", "pipeline"):
        if method not in probe.methods:
            continue
        region = probe.through(Region, probe.build(method), name="region", doing=method)
        what = f"torch.compile({method}, fullgraph=True)"
        with _quietly():
            whole = probe.through(compiled_whole, region, name="whole", doing="torch.compile")
            probe.through(train_step, whole, probe.tokens, probe.score, 0, name="step", doing=what)


@law(
    needs="selector|aggregator|pipeline",
    level="SHOULD",
    domain=Domain(fixed=(EVAL,)),
    budget="compile",
)
def exports(probe: Probe) -> None:
    """torch.export.export(f) succeeds in eval mode, and what it gives computes what f does.

    Why: export is the way to ONNX, ExecuTorch and AOTInductor, so to whoever deploys the model.
    Breaks when: a value decides what runs, a tensor is created in forward from Python numbers of the
    input, or weights are held where `module.parameters()` does not see them.
    Remedy: as for `runtime.compiles`; hold weights in parameters and constants in buffers.
    """
    _works_here(probe, "torch.export", _export_nothing)
    probe.script.carry(modules_in, _is_filled)
    for method in ("selector", "aggregator", "pipeline"):
        if method not in probe.methods:
            continue
        score = probe.given("second", probe.score)
        region = probe.through(Region, probe.build(method), name="region", doing=method)
        owed = probe.call(region, probe.tokens, score, name="owed")
        what = f"torch.export.export({method})"
        with _quietly():
            program = probe.through(exported, region, probe.tokens, score, name="program", doing=what)
        seen = probe.call(program, probe.tokens, score, name="seen")
        within = ROUNDING * float(owed[0].detach().abs().amax()) if method != "selector" else 0.0
        name = "decision" if method == "selector" else "pooled tokens"
        named, axes = f"{name}[{AXES[name]}] of the exported {method}", AXES[name]
        why = "as before the export"
        expect_close(probe, named, axes, seen[0], owed[0].detach(), tolerance=within, because=why)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without the pages that torch logs where it gives up: the report has the first line."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        aside = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(aside), contextlib.redirect_stderr(aside):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _works_here(probe: Probe, name: str, attempt: Callable[[], None]) -> None:
    """Raise Unsupported where this torch cannot do it on this Python, for anybody."""
    with probe.unrecorded():
        problem = _problem_with(attempt)
    if problem:
        raise Unsupported(f"{name} does not work with torch {torch.__version__} here: {problem}")


@cache
def _problem_with(attempt: Callable[[], None]) -> str:
    try:
        with _quietly():
            attempt()
    except Exception as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return ""


def _compile_nothing() -> None:
    torch.compile(torch.nn.Identity(), fullgraph=True, backend="aot_eager")(torch.ones(2))


def _export_nothing() -> None:
    torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),), strict=False)
