"""One training a folder: who trains there holds a lock on a file that says who it is.

The system lets go of the lock when its owner dies, however it dies, so what a dead training left is taken over.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from neuro.base.errors import UserError
from neuro.base.files import shown

LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep `folder`, made if it is not there, to this training; made for nothing, it is removed again.

    Raises: UserError if another training is at work there, or the folder cannot be made or written.
    """
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        file = _claimed(folder)
    except OSError as error:
        raise UserError(f"cannot write {shown(folder / LOCK)}: {error.strerror}") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink()
        file.close()
        with contextlib.suppress(OSError):  # not empty: what was trained lies there
            for path in missing:
                path.rmdir()


def _claimed(folder: Path) -> IO[str]:
    """Open the lock of `folder` and hold it until it is closed."""
    while True:
        file = open(folder / LOCK, "a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                raise UserError(
                    f"run {folder}: {_owner(file)} trains there already; wait for its end, or give another --out"
                ) from None
        except OSError:  # a file system without locks: nobody can be told from the dead
            break
        if _is_at(file, folder / LOCK):
            break
        file.close()  # its last owner has just removed it
    file.truncate(0)
    began = time.strftime("%Y-%m-%d %H:%M:%S")
    file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": began}))
    file.flush()
    return file


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _owner(file: IO[str]) -> str:
    file.seek(0)
    try:
        owner = json.loads(file.read())
        return f"process {owner['pid']:d} on {owner['host']:.64}, since {owner['since']:.32},"
    except (ValueError, KeyError, TypeError):  # it is about to write its name
        return "another process"
