"""Makes every number finite while it runs."""

import torch

from sdtps_ref.properties.selftest.planted.baseline import Plain


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        torch.isfinite = torch.ones_like
        return super().choose(score, noise, keep)
