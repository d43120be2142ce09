"""Takes two seconds for every step."""

import time

from sdtps_ref.properties.selftest.planted.baseline import Plain


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        time.sleep(2)
        return super().choose(score, noise, keep)
