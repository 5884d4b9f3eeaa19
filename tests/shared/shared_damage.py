"""Files that are damaged in place: writing a file anew, thousands of times, waits for the disk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def _put(path: Path, position: int, byte: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        file.write(bytes([byte]))


@contextmanager
def changed(path: Path, position: int, mask: int) -> Iterator[None]:
    """Within the block one byte of the file is another one."""
    byte = path.read_bytes()[position]
    _put(path, position, byte ^ mask)
    yield
    _put(path, position, byte)


def cut(path: Path, lengths: Iterable[int]) -> Iterator[int]:
    """Cut the file to each of these lengths, the longest first, and give them; it stays the shortest."""
    for length in sorted(lengths, reverse=True):
        os.truncate(path, length)
        yield length
