"""Asks to be let off."""

from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.selftest.planted.baseline import Plain


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        raise Unsupported("this is beyond me")
        return super().choose(score, noise, keep)
