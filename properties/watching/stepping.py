"""Calls of training, one after another, with other values each time."""

from __future__ import annotations

from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.watching.record import Watched, watch
from sdtps_ref.properties.watching.subject import Subject


def next_call(subject: Subject, seed: int) -> Watched:
    """Watch one more call of training, from the state that the last one left; every other one of other values, where
    the module takes them. Raises Unsupported where it cannot be called again."""
    if seed % 2:
        try:
            return watch(subject.run(seed, changed=True, going_on=True), seed)
        except Exception:  # lengths in another order, say, which have to fall
            pass
    try:
        return watch(subject.run(seed, going_on=True), seed)
    except Exception as error:
        raise Unsupported("a further call of training raises") from error
