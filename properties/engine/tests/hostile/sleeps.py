"""Never comes back from its first step."""

import time

from sdtps_ref.properties.selftest.planted.baseline import Plain


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        time.sleep(1e6)
        return super().choose(score, noise, keep)
