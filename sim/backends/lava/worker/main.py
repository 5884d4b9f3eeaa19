"""What every worker process does, whatever it runs: it ends with its caller, keeps Lava quiet and counts its progress.

A process of its own because a Lava run is many processes that may hang: the caller (`watch`) can end them all, and
nothing of Lava enters the user's program.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import shared_memory
from pathlib import Path

from neuro.base.files import write_atomically
from sim.backends.lava.worker.watch import PROGRESS, SHARED_MEMORY, shared_memory_prefix

GRACE_S = 3


def run_worker_main(work: Callable[[Path], None]) -> None:
    """Entry point of `python -m WORKER FOLDER CALLER`: does `work` in the folder; CALLER is the caller's process id."""
    folder, caller = Path(sys.argv[1]), int(sys.argv[2])
    vars(shared_memory)["_SHM_NAME_PREFIX"] = f"/{shared_memory_prefix(folder)}"  # Python offers no other way
    threading.Thread(target=end_with, args=(caller, folder), daemon=True).start()
    logging.disable(logging.WARNING)
    work(folder)


def count_done(folder: Path, done: int) -> None:
    """Tell the caller how many items are finished."""
    write_atomically(folder / PROGRESS, str(done).encode())


def end_with(parent: int, folder: Path) -> None:
    """End the whole process group, its shared memory and its folder, when the program that started it is gone."""
    while os.getppid() == parent:
        time.sleep(0.5)
    group = os.getpgrp()
    # Some process may be deaf to SIGTERM while it starts; nobody of this group will be there to kill it then.
    memory = SHARED_MEMORY / shared_memory_prefix(folder)
    command = f"sleep {GRACE_S}; kill -KILL -- -{group} 2>/dev/null; rm -f {memory}*; rm -rf {shlex.quote(str(folder))}"
    subprocess.Popen(["sh", "-c", command], start_new_session=True)
    os.killpg(group, signal.SIGTERM)
