"""Whether the gradient of the user's own call is a number."""

from __future__ import annotations

import math

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.ladder import first_not_finite

LOGS = ("log", "log_", "log2", "log10", "log1p")


@law(needs="call", domain=CALL)
def gradient_is_finite(probe: Probe) -> None:
    """The output and its gradients are finite for ordinary inputs, in float32 and with nothing to overflow.

    Why: one NaN in a gradient makes every weight NaN in the next step, clipped or not.
    Breaks when: the logarithm is taken of a D that is exactly 0, a row is all minus infinity, a square root or a
    division meets zero, `inf * 0` comes of a mask.
    Remedy: where all N tokens are masked, `logits.masked_fill(D == 0, -inf) + D.clamp(min=0.5).log()`.
    """
    reading = passes_of(probe).reading()
    for output in reading.outputs:
        if not output.detach().isfinite().all():
            call = next(
                (
                    call
                    for call in reading.watched.calls
                    if any(t.is_floating_point() and t.detach().isnan().any() for t in call.tensors)
                ),
                None,
            )
            raise Violation(
                "the output is not finite",
                where=call.place if call else None,
                effect="the loss is NaN, and every weight after the first step",
                fix="see the line that makes the first NaN",
            )
    call = first_not_finite(reading)
    if call is None:
        return
    of_zero = call.name in LOGS and any(bool((t.detach() == 0).any()) for t in call.read if t.is_floating_point())
    kind = "NaN" if any(math.isnan(reading.size(t)) for t in call.read) else "infinite"
    raise Violation(
        f"the gradient is {kind} from here on: " + ("the logarithm of an exact 0" if of_zero else f"of {call.name}"),
        where=call.place,
        effect="every weight before it is NaN after the first step",
        fix="logits.masked_fill(decision == 0, -inf) + decision.clamp(min=0.5).log()"
        if of_zero
        else "keep what is divided by, rooted or logged away from zero: clamp(min=eps)",
    )
