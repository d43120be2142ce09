"""What an implementation may not leave changed behind it: torch's switches, torch's functions, threads."""

import contextlib
import threading
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

PATCHABLE = (torch, torch.Tensor, torch.nn.functional, torch.nn.Module, torch.autograd, torch.random)

DETERMINISM = ("off", "warn only", "on")  # by torch's number of the mode


@dataclass(frozen=True)
class Switch:
    """One of torch's global settings."""

    name: str
    read: Callable[[], Any]
    put_back: Callable[[Any], Any]


SWITCHES = (
    Switch("the default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Switch(
        "the default device",
        lambda: str(torch.empty(0).device),  # torch 2.4 cannot be asked for it once it was None again
        lambda was: torch.set_default_device(None if was == "cpu" else was),  # a mode is in force until it is None
    ),
    Switch("grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
    Switch("the number of threads", torch.get_num_threads, torch.set_num_threads),
    Switch("anomaly detection", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    Switch(
        "deterministic algorithms",
        lambda: DETERMINISM[torch.get_deterministic_debug_mode()],
        lambda was: torch.set_deterministic_debug_mode(DETERMINISM.index(was)),
    ),
)


@contextlib.contextmanager
def preserve_settings(during: str, notes: set[str]) -> Iterator[None]:
    """After the block every switch is as it was before. notes: gets a line for each that was not."""
    before = [switch.read() for switch in SWITCHES]
    try:
        yield
    finally:
        for switch, was in zip(SWITCHES, before, strict=True):
            if (now := switch.read()) != was:
                switch.put_back(was)
                notes.add(f"{during} changed {switch.name} from {_shown(was)} to {_shown(now)}; it was put back")


@contextlib.contextmanager
def preserve_functions(during: str, notes: set[str], *, threads_too: bool = True) -> Iterator[None]:
    """After the block torch's functions are torch's own again, and threads that were left running are told.

    threads_too: not where torch compiles, which leaves threads of its own.
    """
    before = {owner: dict(vars(owner)) for owner in PATCHABLE}
    threads = set(threading.enumerate())
    try:
        yield
    finally:
        for owner, was in before.items():
            now = dict(vars(owner))
            for name in [name for name in now if name not in was and _hides_its_own(owner, name)]:
                delattr(owner, name)
                notes.add(f"{during} replaced {_shown(owner)}.{name}; it was put back")
            changed = [name for name, value in was.items() if now.get(name, value) is not value]
            for name in [name for name in changed if _is_patch(was[name], now[name])]:
                setattr(owner, name, was[name])
                notes.add(f"{during} replaced {_shown(owner)}.{name}; it was put back")
        left = [thread.name for thread in threading.enumerate() if thread not in threads and thread.is_alive()]
        if left and threads_too:
            notes.add(f"{during} left threads running: {', '.join(sorted(left)[:3])}{', ...' * (len(left) > 3)}")


def _hides_its_own(owner: Any, name: str) -> bool:
    return isinstance(owner, type) and any(name in vars(base) for base in owner.__mro__[1:])


def _is_patch(was: Any, now: Any) -> bool:
    # torch wraps some of its own functions itself, when dynamo is first imported.
    its_own = str(getattr(now, "__module__", "")).startswith("torch.") and isinstance(now, types.FunctionType)
    return callable(was) and not its_own


def _shown(value: Any) -> str:
    return getattr(value, "__name__", None) or str(value).removeprefix("torch.")
