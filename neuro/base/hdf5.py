"""HDF5 files looked at before anybody reads them: what they declare is bounded, and nothing leads out of them."""

from __future__ import annotations

import io
import math
from typing import Any

from neuro.base.errors import UserError, first_line
from neuro.base.memory import LIMIT, limit_is_given, require_bytes, size_text

# What h5py raises on files that were cut, altered or made up.
DAMAGE = (
    OSError,
    LookupError,
    ValueError,
    TypeError,
    RuntimeError,
    AttributeError,
    ArithmeticError,
    NotImplementedError,
)
MOST_PARTS, DEEPEST = 100_000, 64
SUSPICIOUS_RATIO, SUSPICIOUS_BYTES = 200, 64 << 20


def require_hdf5(content: bytes, name: str, kind: str = "no HDF5 file") -> None:
    """Raise UserError unless `content` is an HDF5 file that declares no more than may be read, without links.

    name, kind: of the file, and what it is not if it is damaged, for errors.
    """
    import h5py

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            total = _declared(file, name, 0, [0])
    except UserError:
        raise
    except DAMAGE as error:
        raise UserError(f"{name}: damaged, or {kind} ({type(error).__name__}: {first_line(error):.100})") from error
    require_bytes(name, total)
    if total > SUSPICIOUS_BYTES and total > SUSPICIOUS_RATIO * len(content) and not limit_is_given():
        raise UserError(
            f"{name}: {size_text(len(content))} that declare {size_text(total)}; if you trust it, set {LIMIT}={total}"
        )


def lies_elsewhere(part: Any) -> bool:
    """Whether the numbers of a data set of h5py are those of another file."""
    return bool(part.external or part.is_virtual)


def _declared(group: Any, name: str, depth: int, seen: list[int]) -> int:
    """The bytes that the arrays in a group declare."""
    import h5py

    total = 0
    for key in group:
        seen[0] += 1
        link = group.get(key, getlink=True)
        if depth > DEEPEST or seen[0] > MOST_PARTS:
            raise UserError(f"{name}: more than {DEEPEST} groups within each other, or {MOST_PARTS} parts")
        if not isinstance(link, h5py.HardLink):
            raise UserError(f"{name}: its part {key!r} is a link; a file must hold itself what it declares")
        part = group[key]
        if isinstance(part, h5py.Group):
            total += _declared(part, name, depth + 1, seen)
        elif isinstance(part, h5py.Dataset):
            if lies_elsewhere(part):
                raise UserError(f"{name}: its part {key!r} lies in another file; a file must hold what it declares")
            total += math.prod(part.shape or (0,)) * max(part.dtype.itemsize, 1)
    return total
