"""Packed contents are unpacked only as far as may be read."""

from __future__ import annotations

import gzip
import io
import math
import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from neuro.base.errors import UserError, first_line
from neuro.base.memory import largest_bytes, require_bytes

PIECE = 1 << 20


def require_array(owner: str, shape: Iterable[int], dtype: npt.DTypeLike) -> None:
    """Raise UserError unless an array of this shape and type may be read and has room."""
    require_bytes(owner, math.prod(int(length) for length in shape) * max(np.dtype(dtype).itemsize, 1))


def gunzipped(content: bytes, owner: str) -> bytes:
    """The content of a .gz file.

    Raises: UserError if it is damaged or unpacks to more than may be read; no more than that is unpacked.
    """
    pieces, size, limit = [], 0, largest_bytes()
    try:
        with gzip.open(io.BytesIO(content)) as file:  # all its members
            while piece := file.read(PIECE):
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    require_bytes(owner, size)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{owner}: no gzip file, or a damaged one ({first_line(error)}); copy it again") from error
    return b"".join(pieces)
