"""IDX files, MNIST's own form: train-images-idx3-ubyte, train-labels-idx1-ubyte and their t10k, packed (.gz) or not."""

from __future__ import annotations

import gzip
import io
import math
import re
import zlib
from pathlib import Path

import numpy as np

from neuro.base.arrays import Array
from neuro.base.errors import UserError, first_line
from neuro.base.files import read_bytes
from neuro.data.raw import RawData
from neuro.data.readers.bounds import require_array
from neuro.data.readers.keys import SPLIT_OF, listed
from neuro.data.readers.parts import Part, joined

NAME = re.compile(
    r"(?P<set>.*?)(?P<part>train|t10k|test)[-_.](?P<what>images|labels)[-_.]idx\d([-_.]ubyte)?(\.gz)?", re.I
)
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_AXES = 8
Sets = dict[str, dict[tuple[str, str], Path]]  # by what stands before "train": files by part and by what they hold


def find_sets(folder: Path) -> Sets:
    """The IDX files of a folder."""
    found: Sets = {}
    for file in sorted(folder.iterdir()):
        match = NAME.fullmatch(file.name)
        if match and file.is_file():
            part = SPLIT_OF[match["part"].lower()]
            found.setdefault(match["set"], {}).setdefault((part, match["what"].lower()), file)
    return found


def read_idx_folder(folder: Path) -> RawData:
    """The data in the IDX files of a folder. Raises: UserError if there are several sets, or one lacks a file."""
    sets = find_sets(folder)
    if len(sets) > 1:
        raise UserError(f"folder {folder}: IDX files of {listed(sets)}; give one file of training images")
    return _of_files(folder.resolve().name, folder, next(iter(sets.values())))


def read_idx(path: Path) -> RawData:
    """The data of one IDX file of training images and those beside it.

    Raises: UserError if its name does not lead to the labels.
    """
    match = NAME.fullmatch(path.name)
    if match is None:
        raise UserError(
            f"IDX file {path}: its name leads to no labels; name them train-images-idx3-ubyte, train-labels-idx1-ubyte"
        )
    name = match["set"].strip("-_. ") or path.resolve().parent.name
    return _of_files(name, path, find_sets(path.parent)[match["set"]])


def _of_files(name: str, source: Path, files: dict[tuple[str, str], Path]) -> RawData:
    for what in ("images", "labels"):
        if ("train", what) not in files:
            there = listed(file.name for file in files.values())
            raise UserError(f"{source}: no IDX file of training {what} beside {there}; put it there")
    parts = [
        Part(parse_idx(files[split, "images"]), parse_idx(files[split, "labels"]))
        for split in ("train", "test")
        if (split, "images") in files and (split, "labels") in files
    ]
    return joined(name, str(source.resolve()), parts)


def parse_idx(path: Path) -> Array:
    """The array in an IDX file: two zero bytes, the type, the number of axes, the lengths, the values (big-endian).

    Raises: UserError if it is damaged; what it declares is checked before it is unpacked.
    """
    content = read_bytes(path)
    stream = gzip.open(io.BytesIO(content)) if path.suffix.lower() == ".gz" else io.BytesIO(content)
    try:
        head = stream.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or not 1 <= head[3] <= MOST_AXES:
            raise UserError(f"IDX file {path}: does not begin as IDX files do; give train-images-idx3-ubyte")
        lengths = stream.read(4 * head[3])
        if len(lengths) < 4 * head[3]:
            raise UserError(f"IDX file {path}: ends within its header; copy it again")
        shape = tuple(int(length) for length in np.frombuffer(lengths, ">u4"))
        dtype = np.dtype(TYPES[head[2]])
        require_array(f"IDX file {path}", shape, dtype)
        n_bytes = math.prod(shape) * dtype.itemsize
        values = stream.read(n_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"IDX file {path}: damaged ({first_line(error)}); copy it again") from error
    if len(values) != n_bytes:
        differs = "more" if len(values) > n_bytes else f"{len(values)}"
        raise UserError(f"IDX file {path}: declares {n_bytes} bytes, holds {differs}; copy it again")
    return np.frombuffer(values, dtype).reshape(shape).astype(dtype.newbyteorder("="))
