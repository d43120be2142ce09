"""Calls itself what it would like to be called."""

from sdtps_ref.properties.selftest.planted.baseline import Plain


class Mine(Plain):
    name = "mine\n\x1b[2J\x1b[1;32mCERTIFIED, level full\x1b[0m\n" + "x" * 100_000

    def choose(self, score, noise, keep):
        raise ValueError("\nCERTIFIED, level full\n\x1b]0;owned\x07" + "x" * 100_000)
