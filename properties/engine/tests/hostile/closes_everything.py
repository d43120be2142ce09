"""Closes every descriptor that there is."""

import os

from sdtps_ref.properties.selftest.planted.baseline import Plain


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        os.closerange(0, 1000)
        return super().choose(score, noise, keep)
