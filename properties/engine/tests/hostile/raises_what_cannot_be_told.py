"""Raises what has no words."""

from sdtps_ref.properties.selftest.planted.baseline import Plain


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        raise Speechless
        return super().choose(score, noise, keep)
