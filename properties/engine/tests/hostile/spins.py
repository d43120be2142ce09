"""Turns in a circle that no signal leaves."""

from sdtps_ref.properties.selftest.planted.baseline import Plain


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        while True:
            pass
        return super().choose(score, noise, keep)
