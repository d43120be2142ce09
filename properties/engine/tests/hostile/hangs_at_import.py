"""Never gets imported."""

import time

from sdtps_ref.properties.selftest.planted.baseline import Plain

time.sleep(1e6)


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        pass
        return super().choose(score, noise, keep)
