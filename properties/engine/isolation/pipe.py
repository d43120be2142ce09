"""The child's ends of its two pipes: orders come as pickles, which only the certifier writes; answers leave as JSON.

No object holds a pipe while the implementation runs: the two are kept under fixed numbers, and each order is answered
in two steps. The child says that it is ready; the certifier then sends a word that nobody can have known before; the
answer carries it. What an implementation writes in between, found by chance or by walking about, is an answer to
nothing, and is noticed.
"""

import json
import os
import pickle
from typing import Any

ORDERS, ANSWERS = 150, 151  # beyond what a program opens by itself
READY = b"ready\n"


def take_over() -> None:
    """Move both pipes away from stdin and stdout, which then lead nowhere."""
    os.dup2(0, ORDERS, inheritable=False)
    os.dup2(1, ANSWERS, inheritable=False)
    with open(os.devnull, "r+") as nothing:
        os.dup2(nothing.fileno(), 0)  # an implementation that asks a question gets no answer
        os.dup2(nothing.fileno(), 1)


def received() -> Any:
    """The next order. Raises EOFError when there are no more."""
    with os.fdopen(os.dup(ORDERS), "rb") as pipe:
        return pickle.load(pipe)


def answer(**content: Any) -> None:
    """Answer the order that was received last."""
    with os.fdopen(os.dup(ANSWERS), "wb") as pipe:
        pipe.write(READY)
        pipe.flush()
        word = received()
        pipe.write(json.dumps({"word": word, "answer": content}).encode() + b"\n")
