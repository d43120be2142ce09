"""Learned numbers in the user's own call, such as a temperature, and the bounds that they are held within."""

from __future__ import annotations

from torch import Tensor, nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call

CLAMPS = ("clamp", "clamp_min", "clamp_max", "clip", "hardtanh", "maximum", "minimum")


@law(needs="call", domain=CALL)
def learned_numbers_start_within_bounds(probe: Probe) -> None:
    """A parameter that is clamped starts between the bounds, where a clamp has a slope.

    Why: outside of its bounds a clamp has a slope of zero. A number that starts there gets no gradient in any step: it
    is a constant, which looks like a parameter.
    Breaks when: a temperature starts at 0.07 and is clamped to 0.1 or more, or the bounds are those of its logarithm.
    Remedy: start it within its bounds, or bound it by its form: `tau = 0.1 + softplus(raw)`.
    """
    passes = passes_of(probe)
    reading = passes.reading()
    for call in reading.watched.calls:
        number = call.read[0] if call.name in CLAMPS and call.read and call.grad_enabled else None
        if number is None or not number.requires_grad or not call.tensors or not _is_outside(call, number):
            continue
        made = reading.watched.watch.number_of(number)
        parameters = reading.upstream(None if made is None else reading.watched.calls[made], number)
        if not _is_of_parameters_alone(reading, made, parameters) or any(
            _is_moved(reading, each) for each in parameters
        ):
            continue
        names = ", ".join(passes.names(parameters)[:2]) or "a parameter"
        raise Violation(
            f"{names} starts outside of the bounds that it is clamped to ({_shown(number)} becomes "
            f"{_shown(call.tensors[0])}), where a clamp has no slope",
            where=call.place,
            effect="it gets a gradient of zero in every step: it is a constant",
            fix="start it within its bounds, or bound it by its form: tau = 0.1 + softplus(raw)",
        )


def _is_outside(call: Call, number: Tensor) -> bool:
    """Whether every entry is changed by the clamp."""
    result = call.tensors[0]
    return result.shape == number.shape and number.numel() > 0 and bool((result.detach() != number.detach()).all())


def _is_of_parameters_alone(reading: Reading, made: int | None, parameters: list[Tensor]) -> bool:
    if not parameters or not all(isinstance(each, nn.Parameter) for each in parameters):
        return False
    behind = [] if made is None else [made, *reading.graph.ancestors(made)]
    outside = [t for n in behind for t in reading.watched.calls[n].outside if t.is_floating_point() and t.numel() > 1]
    return all(any(t is each for each in parameters) for t in outside)


def _is_moved(reading: Reading, parameter: Tensor) -> bool:
    slope = reading.gradient(parameter)
    return slope is not None and bool(slope.any())


def _shown(tensor: Tensor) -> str:
    return f"{float(tensor.detach().flatten()[0]):.3g}"
