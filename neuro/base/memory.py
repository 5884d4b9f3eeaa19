"""How much may be taken: a limit on what is read, and the memory that is free; asked before any is taken.

`SETTLE_MAX_BYTES` is the most that one file may hold, packed or unpacked: 8 GiB unless it says otherwise, as a number
of bytes: 2e9, 500MB or 16GiB.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path

from neuro.base.errors import UserError

LIMIT = "SETTLE_MAX_BYTES"
DEFAULT_LIMIT = 8 << 30
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30,
         "ti": 1 << 40}  # fmt: skip
GROUP = Path("/sys/fs/cgroup")  # of a container


def largest_bytes() -> int:
    """The most bytes that one file may hold. Raises: UserError if SETTLE_MAX_BYTES is no number of bytes."""
    text = os.environ.get(LIMIT, "").strip()
    if not text:
        return DEFAULT_LIMIT
    found = re.fullmatch(r"([\d_.]+(?:e\+?\d+)?)\s*(|[kmgt]i?)b?", text.lower())
    with contextlib.suppress(ValueError, OverflowError):
        size = float(found[1]) * UNITS[found[2]] if found else 0.0
        if size >= 1.0 and math.isfinite(size):
            return int(size)
    raise UserError(f"{LIMIT} {text!r}: no number of bytes; give one such as 2e9, 500MB or 16GiB")


def limit_is_given() -> bool:
    """Whether the user has said how much may be read."""
    return bool(os.environ.get(LIMIT, "").strip())


def free_bytes() -> float:
    """The memory this process may still take; infinity where nobody says."""
    return min(_free_of_machine(), _free_of_group(), _free_of_process())


def require_bytes(owner: str, n_bytes: int) -> None:
    """Raise UserError unless `n_bytes`, which are to be read, are within the limit and there is memory for them."""
    limit = largest_bytes()
    if n_bytes > limit:
        raise UserError(f"{owner}: holds {size_text(n_bytes)}, the limit is {size_text(limit)}; raise it with {LIMIT}")
    if n_bytes > free_bytes():
        raise out_of_memory(owner, n_bytes)


def out_of_memory(owner: str, n_bytes: int | None = None) -> UserError:
    """What to raise when memory ran out over `owner`; n_bytes: what it needs, if that is known."""
    needs = "" if n_bytes is None else f"needs {size_text(n_bytes)}, "
    return UserError(f"{owner}: not enough memory: {needs}{size_text(free_bytes())} free")


@contextlib.contextmanager
def memory_for(owner: str, n_bytes: int | None = None) -> Iterator[None]:
    """Turn a MemoryError of the block into a UserError that says what was needed for what."""
    try:
        yield
    except MemoryError as error:
        raise out_of_memory(owner, n_bytes) from error


def size_text(n_bytes: float) -> str:
    """A number of bytes to read: 407 MB."""
    if not math.isfinite(n_bytes):
        return "an unknown number of bytes"
    for scale, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.3g} {unit}" if n_bytes < 1e15 else f"{n_bytes:.2g} bytes"
    return f"{n_bytes:.0f} bytes"


def _free_of_machine() -> float:
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(Path("/proc/meminfo")), re.MULTILINE)
    return int(found[1]) * 1024 if found else math.inf


def _free_of_group() -> float:
    limit, taken = (_text(GROUP / name).strip() for name in ("memory.max", "memory.current"))
    if not (limit.isdigit() and taken.isdigit()):
        return math.inf
    cached = re.search(r"^inactive_file (\d+)", _text(GROUP / "memory.stat"), re.MULTILINE)  # given back when asked for
    return max(int(limit) - int(taken) + (int(cached[1]) if cached else 0), 0)


def _free_of_process() -> float:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    taken = _text(Path("/proc/self/statm")).split(" ")[0]
    if limit == resource.RLIM_INFINITY or not taken.isdigit():
        return math.inf
    return max(limit - int(taken) * resource.getpagesize(), 0)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
