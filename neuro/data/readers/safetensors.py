"""The .safetensors files of Hugging Face: a length, a header in JSON, the numbers. Read without a package."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from neuro.base.arrays import Array
from neuro.base.errors import UserError
from neuro.base.files import parse_json, read_bytes
from neuro.data.raw import RawData
from neuro.data.readers.arrays import of_mapping

TYPES = {"BOOL": "?", "U8": "<u1", "I8": "<i1", "U16": "<u2", "I16": "<i2", "F16": "<f2", "U32": "<u4", "I32": "<i4",
         "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8"}  # fmt: skip


def read_safetensors(path: Path) -> RawData:
    """The data in a .safetensors file, by the names of its tensors. Raises: UserError if it is damaged."""
    content = read_bytes(path)
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise UserError(f"data file {path}: damaged or no .safetensors file; save it again")
    header = parse_json(content[8 : 8 + length], path)
    header.pop("__metadata__", None)

    def take(name: str, place: str) -> Array:
        return _tensor(content[8 + length :], header[name], place)

    return of_mapping(path.stem, {name: name for name in header}, f"data file {path}", str(path.resolve()), take)


def _tensor(numbers: bytes, entry: Any, place: str) -> Array:
    try:
        dtype, shape, (start, end) = np.dtype(TYPES[entry["dtype"]]), entry["shape"], entry["data_offsets"]
        if not 0 <= start <= end <= len(numbers) or math.prod(shape) * dtype.itemsize != end - start:
            raise ValueError
        return np.frombuffer(numbers[start:end], dtype).reshape(shape).astype(dtype.newbyteorder("="))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{place}: damaged, or of a type that numpy lacks; save it as float32 or uint8") from error
