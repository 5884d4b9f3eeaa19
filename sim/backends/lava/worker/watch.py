"""Runs of Lava in a process of their own, watched: a run that hangs is ended, and no process outlives it."""

from __future__ import annotations

import importlib.util
import os
import platform
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from neuro.base.errors import UserError

STALL_S = 120.0  # a run that finishes no image for so long is ended

POLL_S = 0.1
GRACE_S = 3.0  # between asking the processes of a run to end and killing them
LAST_LINES = 5
PROGRESS = "progress"  # file in the job folder that counts finished items
SHARED_MEMORY = Path("/dev/shm")
LONGEST_FOLDER = 70  # a socket below it has a name of 107 letters at most


def check_installed() -> None:
    """Raise UserError if Lava is not installed."""
    if importlib.util.find_spec("lava") is None or importlib.util.find_spec("lava.magma") is None:
        raise UserError(
            f"backend lava: lava-nc is not installed in this Python {platform.python_version()}; it needs Python "
            "3.10 (make demo sets it up), every other backend runs here"
        )


def run_worker(
    module: str, folder: Path, total: int, item: str, stall_s: float, on_item: Callable[[int], None],
    backend: str = "lava",
) -> None:  # fmt: skip
    """Run a worker (see `worker_main`) to its end, or end it when it stalls; never leave a process behind.

    total, item: how many of what it works on, as counted in folder/progress. on_item is told the number done. backend:
    whose worker it is, for errors.
    Raises: UserError if the worker fails, or finishes no item for `stall_s` seconds.
    """
    with open(folder / "output", "w+", encoding="utf-8") as output:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        if len(str(folder)) <= LONGEST_FOLDER:
            environment["TMPDIR"] = str(folder)  # what multiprocessing makes goes with the folder
        worker = subprocess.Popen(
            [sys.executable, "-m", module, str(folder), str(os.getpid())],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        try:
            done = _wait(worker, folder, item, stall_s, on_item, backend)
        finally:
            end_group(worker.pid)
            worker.wait()
            for file in SHARED_MEMORY.glob(f"{shared_memory_prefix(folder)}*"):
                file.unlink(missing_ok=True)
        if worker.returncode != 0:
            output.seek(0)
            lines = [line.strip() for line in output if line.strip()][-LAST_LINES:]
            raise UserError(
                f"backend {backend}: the run failed after {item} {done} of {total}: {' | '.join(lines) or 'no output'}"
            )


def _wait(
    worker: subprocess.Popen[bytes], folder: Path, item: str, stall_s: float, on_item: Callable[[int], None],
    backend: str,
) -> int:  # fmt: skip
    """Wait for the worker; returns how many items it finished."""
    done, moved_at = 0, time.monotonic()
    while worker.poll() is None:
        time.sleep(POLL_S)
        now = _progress(folder)
        if now != done:
            done, moved_at = now, time.monotonic()
            on_item(done)
        if time.monotonic() - moved_at > stall_s:
            raise UserError(
                f"backend {backend}: no {item} finished for {stall_s:g} s after {item} {done}; ended the run. "
                f"Use fewer {item}s or a smaller network"
            )
    return _progress(folder)


def _progress(folder: Path) -> int:
    try:
        return int((folder / PROGRESS).read_text(encoding="ascii") or 0)
    except (OSError, ValueError):
        return 0


def shared_memory_prefix(folder: Path) -> str:
    """How the names of the shared memory of a job begin. A process that is ended while it creates some leaves a file
    that no other knows of. Nine characters: `multiprocessing` has room for no more.
    """
    return f"st{zlib.crc32(str(folder).encode()) & 0xFFFFFF:06x}_"


def end_group(group: int) -> None:
    """End every process of a process group: politely, so that shared memory is released, then by force."""
    for sign, patience_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        try:
            os.killpg(group, sign)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline and _alive(group):
            time.sleep(POLL_S / 4)


def _alive(group: int) -> bool:
    """Whether any process of the group still runs (a zombie leader waiting to be reaped does not count)."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, process_group = entry.read_text(encoding="utf-8").rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(process_group) == group and state not in "ZX":
            return True
    return False
