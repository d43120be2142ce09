"""What the laws of a call read: the watched passes of the user's own module."""

from __future__ import annotations

from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.watching.passes import Passes
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.sites import Site
from sdtps_ref.properties.watching.weighing import weights_of

# The call is the user's, with its own sizes: a case gives the mode alone.
CALL = Domain(fixed=(Case(batch=1, num_tokens=1, keep=1, dim=8, slots=1),))


def passes_of(probe: Probe) -> Passes:
    """The watched passes of the implementation."""
    return probe.implementation.call()


def decided(probe: Probe) -> tuple[Reading, list[Site]]:
    """A training pass and its sites that have a D with a gradient. Raises Unsupported where there is none."""
    reading = passes_of(probe).reading()
    sites = [site for site in reading.sites if site.decision is not None and site.kind != "given"]
    if not sites:
        raise Unsupported("no decision that carries a gradient was seen")
    return reading, sites


def learned(probe: Probe) -> tuple[Reading, list[Site]]:
    """A training pass and its sites whose score learns from what they choose: by D, or as the weights of kept tokens.

    Raises Unsupported where there is none.
    """
    reading = passes_of(probe).reading()
    sites = [site for site in reading.sites if site.kind != "given"]
    sites = [site for site in sites if site.decision is not None or weights_of(reading, site) is not None]
    if not sites:
        raise Unsupported("no choice was seen that a score learns from")
    return reading, sites
