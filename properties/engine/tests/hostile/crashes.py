"""Reads where nothing is."""

import ctypes

from sdtps_ref.properties.selftest.planted.baseline import Plain


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        ctypes.string_at(0)
        return super().choose(score, noise, keep)
