"""Ends whatever process started it."""

import os
import signal

from sdtps_ref.properties.selftest.planted.baseline import Plain


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        os.kill(os.getppid(), signal.SIGKILL)
        return super().choose(score, noise, keep)
