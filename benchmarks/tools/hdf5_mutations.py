"""HDF5 files made invalid: parts lost, of another type or shape, declared but not held, linked in circles."""

from __future__ import annotations

import io
import random
from typing import Any

import h5py
import numpy as np

from benchmarks.tools.mutations import changed_array, mutated_bytes

VALUES: tuple[Any, ...] = (
    0, -1, 1.5, np.nan, 2**62, "x", b"", np.zeros(0), np.zeros((2, 2)), np.zeros((1,) * 9), "nan", 10**9,
)  # fmt: skip


def mutated_hdf5(content: bytes, draw: random.Random) -> bytes:
    """An HDF5 file that is none of its format any more, in one to four places."""
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        for _ in range(draw.choice((1, 1, 1, 2, 4))):
            names: list[str] = []
            file.visit(names.append)
            if not names:
                break
            _change(file, draw.choice(names), draw)
    changed = buffer.getvalue()
    return mutated_bytes(changed, draw) if draw.random() < 0.1 else changed


def _change(file: Any, name: str, draw: random.Random) -> None:
    node = file[name]
    values = node[()] if isinstance(node, h5py.Dataset) and (node.size or 0) < 10**6 else None
    del file[name]
    match draw.randrange(8):
        case 0:
            return
        case 1:
            file[name] = draw.choice(VALUES)
        case 2:
            file[name] = h5py.SoftLink(draw.choice((f"/{name}", "/", "/nothing")))
        case 3:
            file[name] = h5py.ExternalLink("/etc/passwd", "/")
        case 4:
            shape = draw.choice(((2**40,), (10**8, 100), (10**9,)))
            file.create_dataset(name, shape, draw.choice(("u1", "f4", "f8")), chunks=(64,) * len(shape))
        case 5:
            file.create_group(name)
        case _ if isinstance(values, np.ndarray | np.generic) and np.asarray(values).dtype.kind in "iuf":
            changed = changed_array(np.asarray(values), draw)
            file[name] = np.zeros(3) if changed.dtype.kind in "UMm" else changed
        case _:
            file[name] = draw.choice(VALUES)
