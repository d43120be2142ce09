"""What may be wrong with the code as a part of a program: state, inputs, layouts, devices, compilers."""

from __future__ import annotations

from typing import Any

from sdtps_ref.properties.engine.causes.hypothesis import MISLED, OTHER_RESULTS, Hypothesis, Readings

WAKE = ("runtime.*", "symmetry.*", "shape.*", "selection.*", "gradient.*", "distributed.*", "decision.*",
        "multimodal.*")  # fmt: skip


def _scatters(r: Readings) -> bool:
    made = r["calls.made"] or []
    return any(name in made for name in ("scatter", "scatter_", "__setitem__", "index_put_")) and r.fails(
        "runtime.compiled_equals_eager"
    )


def _written(r: Readings) -> Any:
    if r["inputs.written"]:
        return {"where": r["inputs.written"][0]}
    return r["left.inputs"] and {"where": r["left.inputs"]["where"]}


def _cached(r: Readings) -> bool:
    return (
        bool(r["state.answers"]) and not r["state.buffers"] and not r["state.born"] and not r["state.temperature_moves"]
    )


HYPOTHESES = (
    Hypothesis(
        "inputs.written",
        "it writes into what the caller passed ({where})",
        _written,
        ("runtime.inputs_*", "independence.what_is_passed_in"),
        (*WAKE, "aggregation.*"),
        OTHER_RESULTS,
        effect="whoever uses the tensor afterwards has other numbers, or an error in backward",
        fix="out-of-place operations: masked_fill, not masked_fill_",
        root=True,
    ),
    Hypothesis(
        "state.cached",
        "what was computed in one call is given to later ones ({where})",
        lambda r: _cached(r) and {"where": r["state.answers"][0]},
        ("runtime.has_no_state", "runtime.*", "gradient.*", "decision.*"),
        (*WAKE, "training.*"),
        MISLED,
        effect="the same input gives another answer, by what came before it",
        fix="cache nothing that depends on the values of the input",
    ),
    Hypothesis(
        "state.buffer",
        "a call moves a buffer that later calls read ({which})",
        lambda r: (r["state.buffers"] or []) and {"which": r["state.buffers"][0].partition(".")[2]},
        ("runtime.has_no_state",),
        WAKE,
        MISLED,
        3,
        effect="training depends on the order of the batches",
        fix="keep no running statistics of the score",
    ),
    Hypothesis(
        "state.temperature",
        "the temperature moves with every call",
        lambda r: r["state.temperature_moves"],
        ("runtime.has_no_state",),
        WAKE,
        MISLED,
        3,
        effect="it is in no checkpoint: a run that is resumed has another temperature",
        fix="set tau from the training loop, or keep it in a buffer",
    ),
    Hypothesis(
        "state.born",
        "a parameter is created in the first call ({which})",
        lambda r: (r["state.born"] or []) and {"which": r["state.born"][0].partition(".")[2]},
        ("runtime.has_no_state",),
        WAKE,
        MISLED,
        3,
        effect="an optimiser that was made before never hears of it",
        fix="create it in __init__",
    ),
    Hypothesis(
        "layout.memory",
        "it reads memory as if every tensor were contiguous",
        lambda r: r["layout.other"] == "wrong",
        ("runtime.layout_*",),
        WAKE,
        OTHER_RESULTS,
        3,
        effect="transposed or sliced input gives a wrong answer without an error",
        fix="reshape, or contiguous() first",
    ),
    Hypothesis(
        "layout.view",
        "`.view` is used on what the caller passed, which only contiguous tensors allow",
        lambda r: (r["layout.other"] or "").startswith("raised"),
        ("runtime.layout_*",),
        WAKE,
        specific=3,
        effect="transposed input raises",
        fix="reshape in place of view",
    ),
    Hypothesis(
        "dtype.hard_coded",
        "a tensor is made without the dtype of the input: {which} comes back as another",
        lambda r: (r["dtype.returned_otherwise"] or []) and {"which": r["dtype.returned_otherwise"][0]},
        ("shape.*", "runtime.autocast"),
        WAKE,
        OTHER_RESULTS,
        3,
        effect="half precision is left on the way, or an operation raises",
        fix="torch.zeros_like(score), or dtype=score.dtype",
    ),
    Hypothesis(
        "device.hard_coded",
        "a tensor is made on a device that is written into the code",
        lambda r: r["device.written_in"] and not r["dtype.returned_otherwise"],
        ("runtime.runs_on_meta",),
        WAKE,
        specific=3,
        effect="it does not run elsewhere",
        fix="device=score.device",
    ),
    Hypothesis(
        "values.decide",
        "Python looks at numbers in a tensor ({how}) to decide what runs",
        lambda r: r["values.read_by"] and {"how": r["values.read_by"].strip("_"), "place": r["values.place"]},
        ("runtime.compiles", "runtime.exports", "runtime.runs_on_meta", "runtime.compiled*"),
        WAKE,
        specific=2,
        effect="it waits for the device in every call, and cannot be compiled or exported",
        fix="torch.where, or a check outside of forward",
    ),
    Hypothesis(
        "compiling.own_way",
        "it takes another way while it is being compiled, and that way gives another answer",
        lambda r: r["compiling.takes_another_way"],
        ("runtime.compiled*", "runtime.exports", "runtime.same_while_compiling"),
        WAKE,
        MISLED,
        4,
        effect="what is trained compiled is not what was tested",
        fix="no branch on torch.compiler.is_compiling()",
    ),
    Hypothesis(
        "compiling.scatter",
        "the hard mask is a scatter, which torch.compile gets wrong behind a normalised score: D is zero everywhere",
        _scatters,
        ("runtime.compiled*",),
        WAKE,
        MISLED,
        2,
        effect="compiled, nothing is kept and nothing is trained, and nothing warns",
        fix="hard_mask = (keep_indices.unsqueeze(-1) == torch.arange(N)).any(-2).to(score.dtype)",
        training="D is zero when compiled",
    ),
    Hypothesis(
        "keep.clamped",
        "a K that is out of range is clamped, in place of being refused",
        lambda r: (
            (isinstance(r["keep.above"], int) and r["keep.above"] <= 7)
            or (isinstance(r["keep.of_zero"], int) and r["keep.of_zero"] >= 1)
        ),
        ("errors.keep_*",),
        ("errors.*",),
        effect="a mistake in the sizes goes unnoticed",
        fix="raise ValueError, saying what was given",
    ),
    Hypothesis(
        "keep.unchecked",
        "K = 0 is let through: nothing is kept",
        lambda r: r["keep.of_zero"] == 0 and isinstance(r["keep.of_zero"], int),
        ("errors.keep_*",),
        ("errors.*",),
        effect="empty tensors go on, and means of them are NaN",
        fix="raise ValueError, saying what was given",
    ),
    Hypothesis(
        "errors.wordless",
        "a wrong K is refused without a word of what was given",
        lambda r: "wordless" in (r["keep.above"], r["keep.of_zero"]),
        ("errors.keep_*",),
        ("errors.*",),
        effect="whoever meets it has to read the code",
        fix='raise ValueError(f"keep must be from 1 to {N}, but is {keep}")',
    ),
)
