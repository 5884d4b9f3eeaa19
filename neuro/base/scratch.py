"""Temporary folders that are gone after every end: of a `with` block, and after kill -9 when the next is made.

The name says who owns a folder: settle-KIND-PID.START.PLACE-random, START the ticks at which the process began, PLACE a
hash of host and process numbers' name space. What belongs to a living process, another user or another machine stays.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

NAME = re.compile(r"settle-[a-z]+-(\d+)\.(\d+)\.([0-9a-f]+)-\w+")


@contextlib.contextmanager
def scratch(kind: str) -> Iterator[Path]:
    """A folder for the block, named after the kind of work and removed at its end. Sweeps what the dead have left."""
    folder = scratch_folder(kind)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def scratch_folder(kind: str) -> Path:
    """A folder to be removed by who asked for it; if that process dies first, by the next that makes one."""
    sweep()
    pid = os.getpid()
    return Path(tempfile.mkdtemp(prefix=f"settle-{kind}-{pid}.{_started(pid)}.{_place()}-"))


def sweep() -> None:
    """Remove the folders of processes that are dead, of this user and this machine."""
    if not Path("/proc/self/stat").exists():
        return  # nobody can be told from the dead
    with contextlib.suppress(OSError):
        for entry in os.scandir(tempfile.gettempdir()):
            owner = NAME.fullmatch(entry.name)
            if owner is None or owner[3] != _place() or entry.is_symlink() or entry.stat().st_uid != os.getuid():
                continue
            if _started(int(owner[1])) != int(owner[2]):
                shutil.rmtree(entry.path, ignore_errors=True)


def _started(pid: int) -> int:
    """The ticks since boot at which a process began; 0 if there is none."""
    try:
        content = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *fields = content.rpartition(")")[2].split()
        return 0 if state in "ZX" else int(fields[18])
    except (OSError, ValueError, IndexError):
        return 0


def _place() -> str:
    """A hash of what makes a process number unique: the host and its name space."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{zlib.crc32(f'{socket.gethostname()} {space}'.encode()):08x}"
