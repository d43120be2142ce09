"""Stops its own process, timers and all."""

import os
import signal

from sdtps_ref.properties.selftest.planted.baseline import Plain


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        os.kill(os.getpid(), signal.SIGSTOP)
        return super().choose(score, noise, keep)
