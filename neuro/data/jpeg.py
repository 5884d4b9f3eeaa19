"""Data files that keep their images as JPEG bytes: per split a byte buffer, offsets and labels."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from neuro.base.arrays import Array, Int64
from neuro.base.errors import UserError


def decode_jpeg_arrays(arrays: Mapping[str, Array], path: Path) -> dict[str, Array]:
    """The arrays x_train, y_train, x_test, y_test decoded from jpeg_<split>, offset_<split>, y_<split>.

    Args:   jpeg_<split> of shape [bytes] uint8; offset_<split> of shape [n + 1]: image i is bytes
            offset[i]..offset[i + 1] of the buffer. `path` is named in errors.
    Raises: UserError if an array is missing or a picture cannot be decoded.
    """
    decoded: dict[str, Array] = {}
    for split in ("train", "test"):
        keys = [f"jpeg_{split}", f"offset_{split}", f"y_{split}"]
        missing = [key for key in keys if key not in arrays]
        if missing:
            raise UserError(f"data file {path}: lacks {', '.join(missing)}")
        offsets = arrays[keys[1]]
        if offsets.ndim != 1 or offsets.size < 2 or not np.issubdtype(offsets.dtype, np.integer):
            raise UserError(f"data file {path}: {keys[1]} must hold n + 1 integers, where each picture starts and ends")
        decoded[f"x_{split}"] = _decode(arrays[keys[0]].tobytes(), offsets.astype(np.int64), path)
        decoded[f"y_{split}"] = arrays[keys[2]]
    return decoded


def _decode(buffer: bytes, offsets: Int64, path: Path) -> Array:
    from PIL import Image

    pictures = []
    for start, end in itertools.pairwise(offsets):
        try:
            pictures.append(np.asarray(Image.open(io.BytesIO(buffer[start:end]), formats=["JPEG"])))
        except (OSError, SyntaxError) as error:
            raise UserError(f"data file {path}: image {len(pictures)} is no readable JPEG") from error
    if len({picture.shape for picture in pictures}) != 1:
        raise UserError(f"data file {path}: its images differ in size; make them equal")
    return np.stack(pictures)
