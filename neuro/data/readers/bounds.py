"""Packed contents are unpacked only as far as may be read."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from neuro.base.errors import UserError
from neuro.base.memory import largest_bytes, require_bytes

PIECE = 1 << 20


def require_array(owner: str, shape: Iterable[int], dtype: npt.DTypeLike) -> None:
    """Raise UserError unless an array of this shape and type may be read and has room."""
    require_bytes(owner, math.prod(int(length) for length in shape) * max(np.dtype(dtype).itemsize, 1))


def gunzipped(content: bytes, owner: str) -> bytes:
    """The content of a .gz file.

    Raises: UserError if it is damaged or unpacks to more than may be read; no more than that is unpacked.
    """
    unpacker, packed, pieces, size = zlib.decompressobj(31), io.BytesIO(content), [], 0
    limit = largest_bytes()
    try:
        while not unpacker.eof:
            piece = packed.read(PIECE)
            if not piece and not unpacker.unconsumed_tail:
                raise UserError(f"{owner}: ends before its end; copy it again")
            data = unpacker.unconsumed_tail + piece
            while data:
                pieces.append(unpacker.decompress(data, PIECE))
                size += len(pieces[-1])
                if size > limit:
                    require_bytes(owner, size)
                data = unpacker.unconsumed_tail
    except zlib.error as error:
        raise UserError(f"{owner}: no gzip file, or a damaged one ({error}); copy it again") from error
    return b"".join(pieces)
