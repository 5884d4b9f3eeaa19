"""Which processes of Lava a test has left: its own only, for other tests run beside it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

WORKER = b"worker"  # every module that runs Lava for a caller has this in its name


def lava_workers(caller: int | None = None) -> set[int]:
    """Return the ids of the Lava workers that a process started, and of their children. caller: None is this one.

    A worker has its caller's id as its last word (`python -m MODULE FOLDER CALLER`), and so do the processes that it
    forks, whoever their parent is by now.
    """
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(caller or os.getpid()).encode() in words and any(
            word.startswith((b"sim.backends.lava.", b"hardware.")) and WORKER in word for word in words
        ):
            found.add(int(folder.name))
    return found


def in_sessions(sessions: set[int]) -> set[int]:
    """The ids of the processes that belong to these sessions: also those that name nobody, as trackers of resources."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(folder.name)) in sessions:
                found.add(int(folder.name))
    return found


def wait_for(condition: Callable[[], object]) -> bool:
    """Wait until `condition()` holds, at most half a minute; returns whether it does."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False
