"""Between the certifier and the process in which unknown code runs: whatever that process starts ends with it.

Run as a program of its own, by path and with the standard library alone: `python -I supervisor.py CONTROL STATUS
PROGRAM ...`, two file descriptors and a command line. It makes itself the reaper of its descendants (Linux), so that
one that left its session, its group and its parent is still found; it ends all of them, by id, when the program has
ended, or when the certifier closes CONTROL, which it also does by dying. On STATUS it writes two lines of JSON: the
program's process id, and then its exit status with the number of processes that were left running.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 0.3  # seconds in which a helper of torch's or Python's, which ends when its parent does, may do so
TIRELESS = 5.0  # seconds of ending what starts others as fast as it is ended
# Processes that torch and Python start beside a program; they are ended too, but are nobody's leftovers.
HELPERS = (b"compile_worker", b"resource_tracker", b"forkserver")


def main() -> None:
    """Start the program, wait for its end or for the certifier's word, and end what is left."""
    control, status = int(sys.argv[1]), int(sys.argv[2])
    for descriptor in (control, status):
        os.set_inheritable(descriptor, False)
    _adopt_orphans()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    program = os.posix_spawn(sys.argv[3], sys.argv[3:], os.environ, setpgroup=0)
    with open(os.devnull, "r+") as nothing:
        os.dup2(nothing.fileno(), 0)  # the ends of the pipes are the program's alone
        os.dup2(nothing.fileno(), 1)
    _say(status, {"program": program})
    ended = _reap(program)
    while ended is None:
        ready, _, _ = select.select([control, woken], [], [])
        if control in ready:
            _end(program)
        if woken in ready:
            os.read(woken, 4096)
        ended = _reap(program) if ended is None else ended
    _say(status, {"status": ended, "left": _end_all_that_is_left(program)})


def _adopt_orphans() -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _say(descriptor: int, content: object) -> None:
    with contextlib.suppress(OSError):
        os.write(descriptor, json.dumps(content).encode() + b"\n")


def _reap(program: int) -> "int | None":
    """The program's exit status if it has ended; takes leave of every other child that has."""
    ended = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == program:
                ended = os.waitstatus_to_exitcode(status)
    return ended


def _end(process: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, signal.SIGKILL)


def _end_all_that_is_left(program: int) -> int:
    """End every descendant. Returns how many there were that nobody but the program can have meant to leave."""
    patient = time.monotonic() + PATIENCE
    while _children() and time.monotonic() < patient:
        time.sleep(0.02)
        _reap(program)
    counted: set[int] = set()
    tireless = time.monotonic() + TIRELESS
    while time.monotonic() < tireless and (left := _children()):
        counted |= {child for child in left if not _is_helper(child)}
        for child in left:  # of this process, so the id is its own until it is reaped below
            _end(child)
        _reap(program)
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(program, signal.SIGKILL)  # where there is no /proc to look into
    return len(counted)


def _children() -> "list[int]":
    """Processes whose parent is this one, those of ended parents among them; none are seen without /proc."""
    own, found = os.getpid(), []
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError, ValueError), open(f"/proc/{name}/stat", "rb") as file:
                    state, parent = file.read().rpartition(b")")[2].split()[:2]
                    if int(parent) == own and state != b"Z":
                        found.append(int(name))
    return found


def _is_helper(process: int) -> bool:
    with contextlib.suppress(OSError), open(f"/proc/{process}/cmdline", "rb") as file:
        line = file.read()
        return any(helper in line for helper in HELPERS)
    return False


if __name__ == "__main__":
    main()
