"""Writes a result that it would like to every descriptor that is open."""

import contextlib
import json
import os

from sdtps_ref.properties.selftest.planted.baseline import Plain

RESULT = {"id": "shape.follows_inputs", "level": "MUST", "status": "passed", "examples": 99}


def forge():
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            os.write(int(name), b"ready\n" + json.dumps({"result": RESULT}).encode() + b"\n")


class Mine(Plain):
    name = "mine"

    def choose(self, score, noise, keep):
        forge()
        return super().choose(score, noise, keep)
