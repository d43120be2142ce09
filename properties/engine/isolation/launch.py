"""Start a child's interpreter. Free of torch, so that a command starts it before importing torch itself."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from typing import IO

# The parent's path, so that a child finds what the parent found, however that was started.
PROGRAM = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])
importlib.import_module(sys.argv[2]).main()
"""


@dataclass
class Launched:
    """A process that waits for its first order.

    Attributes:
        scripted: Whether what torch.jit.script compiles is compiled; else it runs as the Python that it is written in,
            which can be watched.
        module: What runs there: its `main`.
        log: What it writes to stderr.
    """

    scripted: bool = True
    module: str = "sdtps_ref.properties.engine.isolation.worker"
    log: IO[bytes] = field(default_factory=tempfile.TemporaryFile)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(sys.path), self.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=os.environ if self.scripted else {**os.environ, "PYTORCH_JIT": "0"},
            start_new_session=True,  # Ctrl-C is for the certifier, which then ends this one
        )

    def close(self) -> None:
        """End it, and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.log):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
