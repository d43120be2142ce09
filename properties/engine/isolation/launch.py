"""Start a child's interpreter. Free of torch, so that a command starts it before importing torch itself."""

import contextlib
import json
import os
import sys
import tempfile

from sdtps_ref.properties.engine.supervised import Supervised

# The parent's path, so that a child finds what the parent found, however that was started.
PROGRAM = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])
importlib.import_module(sys.argv[2]).main()
"""


class Launched(Supervised):
    """A process that waits for its first order.

    Attributes:
        scripted: Whether what torch.jit.script compiles is compiled; else it runs as the Python that it is written in,
            which can be watched.
        module: What runs there: its `main`.
        log: What it writes to stderr.
        trying: Where it says which case it is at; it is given the descriptor as its last argument, and no verdict
            rests on what is there.
    """

    def __init__(self, scripted: bool = True, module: str = "sdtps_ref.properties.engine.isolation.worker") -> None:
        self.scripted, self.module = scripted, module
        self.log, self.trying = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        place = self.trying.fileno()
        program = [sys.executable, "-c", PROGRAM, json.dumps(sys.path), module, str(place)]
        super().__init__(program, self.log, (place,), None if scripted else {**os.environ, "PYTORCH_JIT": "0"})

    def close(self) -> None:
        """End it, and all that it started."""
        super().close()
        for file in (self.log, self.trying):
            with contextlib.suppress(OSError):
                file.close()
