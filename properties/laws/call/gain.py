"""How large the gradient is that reaches the score in the user's own call."""

from __future__ import annotations

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.ladder import jump_above, jump_below
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.roads import moved
from sdtps_ref.properties.watching.sites import Site

LEAST = 1e-4  # below it D's gradient is what rounding leaves of a factor that was divided out
MOST = 1e3  # a right gradient says about what taking a token away does; the published mask, 1e10 times as much
STEEP = 1e6  # on its way from the score to what it is made of
DIVISIONS = ("div", "__truediv__", "true_divide", "divide", "div_", "__itruediv__", "mul", "__mul__", "normalize")


@law(needs="call", level="SHOULD", depends="call.gradient_reaches_score", domain=CALL)
def gain_is_about_one(probe: Probe) -> None:
    """d(output)/dD is about what taking a token away does to the output: the mask multiplies nothing.

    Why: through `(1 - D) * 1e10` the score receives 1e10 times its gradient. The direction is right, the size is not:
    SGD diverges, Adam spends its step on rounding, a clipped norm drowns every other parameter, float16 overflows.
    The other way round, what is multiplied by D and then normalised loses D again: forward a token falls away where D
    is 0, and around 1 its gradient is next to nothing.
    Breaks when: a large constant that masks dropped tokens is multiplied by a D that carries a gradient, or a layer
    norm comes right after the product with D.
    Remedy: `logits + D.log()` (minus infinity where D = 0): the forward pass is the same to the bit. Where all N
    tokens are masked, `logits.masked_fill(D == 0, -inf) + D.clamp(min=0.5).log()`.
    """
    passes = passes_of(probe)
    reading = passes.reading()
    largest = 0.0
    for site in reading.sites:
        if site.decision is None or site.decision_call is None or not moved(reading, site.decision):
            continue
        jump = jump_above(reading, site)
        gain = passes.gain(reading, site)
        if gain is None and jump is not None and _by_a_constant(jump[0]):
            gain = jump[1]
        if gain is None:
            continue
        largest = max(largest, gain)
        if gain < LEAST and (norm := _divided_out(reading, site)) is not None:
            probe.findings["gain"] = gain
            raise Violation(
                f"the gradient of D is {gain:.0e} of what taking a token away does: {norm.name} divides D out again",
                where=norm.place,
                effect="the score hardly learns: the selection stays what it was at initialisation",
                fix="normalise the tokens first, and multiply by D after that",
            )
        if not gain <= MOST:
            probe.findings["gain"] = gain
            _refuse(gain, jump[0].place if jump else site.decision_call.place)
    if largest:
        probe.findings["gain"] = largest


def _divided_out(reading: Reading, site: Site) -> Call | None:
    """The first normalisation after D, of which a factor is nothing."""
    assert site.decision_call is not None
    for number in reading.graph.descendants(site.decision_call.number):
        call = reading.watched.calls[number]
        if call.name in ("layer_norm", "rms_norm", "normalize", "group_norm", "instance_norm"):
            return call
    return None


def _by_a_constant(call: Call) -> bool:
    return call.name in ("mul", "__mul__", "__rmul__", "div", "__truediv__", "mul_")


def _refuse(gain: float, place: SourceLine | None) -> None:
    raise Violation(
        f"the mask multiplies the gradient of the score by {gain:.2g}",
        where=place,
        effect="SGD diverges; Adam spends its step on rounding and keeps tokens at random",
        fix="logits = logits + decision.log(): the same forward pass, to the bit",
    )


@law(needs="call", level="SHOULD", depends="call.gradient_reaches_score", domain=CALL)
def score_is_not_steep(probe: Probe) -> None:
    """The gradient does not grow by 1e6 between the score and what it is made of.

    Why: min-max and other normalisations divide by the spread of a row. Where scores start alike, as after a zero
    initialisation, an epsilon of 1e-8 makes that a factor of 1e8.
    Breaks when: the epsilon is far below the spread that the scores start with.
    Remedy: `(s - low) / (high - low).clamp(min=1e-2)`, or no normalisation.
    """
    passes = passes_of(probe)
    reading = passes.reading()
    for site in reading.sites:
        if site.decision is None or not moved(reading, site.score):
            continue
        jump = jump_below(reading, site)
        if jump is not None and jump[1] >= STEEP and jump[0].name in DIVISIONS:
            raise Violation(
                f"normalising the score multiplies its gradient by {jump[1]:.2g}: the row is nearly constant",
                where=jump[0].place,
                effect="the first steps throw the score's network far away",
                fix="divide by (high - low).clamp(min=1e-2)",
            )
