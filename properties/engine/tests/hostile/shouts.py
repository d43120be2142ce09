"""Prints megabytes at every step, to both streams."""

import sys

from sdtps_ref.properties.selftest.planted.baseline import Plain


def shout():
    sys.stdout.write("loading weights " * 100_000)
    sys.stderr.write("loading weights " * 100_000)


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        shout()
        return super().choose(score, noise, keep)
