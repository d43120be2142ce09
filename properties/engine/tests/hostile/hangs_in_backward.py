"""Comes back, and never differentiates."""

import time

from sdtps_ref.properties.selftest.planted.baseline import Plain


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        score.requires_grad and score.register_hook(lambda gradient: time.sleep(1e6))
        return super().choose(score, noise, keep)
