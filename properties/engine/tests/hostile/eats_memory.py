"""Keeps a gigabyte more at every step."""

import torch

from sdtps_ref.properties.selftest.planted.baseline import Plain

KEPT = []


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        KEPT.append(torch.ones(2**28))
        return super().choose(score, noise, keep)
