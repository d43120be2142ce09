"""Removes the folders that the certifier writes to."""

import shutil

from sdtps_ref.properties.selftest.planted.baseline import Plain


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        shutil.rmtree(".sdtps", ignore_errors=True)
        return super().choose(score, noise, keep)
