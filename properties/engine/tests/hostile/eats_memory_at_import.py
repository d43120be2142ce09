"""Wants more memory than there is before it is anything."""

import torch

from sdtps_ref.properties.selftest.planted.baseline import Plain

KEPT = [torch.ones(2**28) for _ in range(100)]


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        pass
        return super().choose(score, noise, keep)
