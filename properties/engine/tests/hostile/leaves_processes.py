"""Leaves a process behind at every step, in a session of its own."""

import os
import time

from sdtps_ref.properties.selftest.planted.baseline import Plain


def leave_one():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    os.wait()


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        leave_one()
        return super().choose(score, noise, keep)
