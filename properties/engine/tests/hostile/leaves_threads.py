"""Leaves a thread behind at every step."""

import threading
import time

from sdtps_ref.properties.selftest.planted.baseline import Plain


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        return super().choose(score, noise, keep)
