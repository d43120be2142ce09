"""Ends its process with a status that says all is well."""

import os

from sdtps_ref.properties.selftest.planted.baseline import Plain


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        os._exit(0)
        return super().choose(score, noise, keep)
