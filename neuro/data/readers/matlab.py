"""MATLAB's .mat files: of every version, samples along whichever axis, structures as parts of names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neuro.base.arrays import Array
from neuro.base.errors import UserError, first_line
from neuro.base.files import DAMAGE, read_bytes
from neuro.data.raw import RawData
from neuro.data.readers.arrays import of_mapping
from neuro.data.readers.hdf5 import of_hdf5
from neuro.data.readers.mat5 import Mat5
from neuro.data.readers.parts import Part, joined, test_file

HDF5, HDF5_AT = b"\x89HDF\r\n\x1a\n", (0, 512)


def read_mat(path: Path) -> RawData:
    """The data in a .mat file; a file whose name says train has its test part in the one named test beside it.

    Where the last axis counts the labels and the first one does not (SVHN: [32, 32, 3, n]), it is moved to the front.
    """
    train = _of_file(path)
    if train.x_test is not None:
        return train
    other, notes = test_file(path)
    parts = [train, *([_of_file(other)] if other else [])]
    return joined(path.stem, train.source, map(_part, parts), notes)


def _part(data: RawData) -> Part:
    return Part(data.x_train, data.y_train, data.notes)


def _of_file(path: Path) -> RawData:
    content = read_bytes(path)
    if any(content[at : at + len(HDF5)] == HDF5 for at in HDF5_AT):
        data = of_hdf5(path, np.transpose)  # MATLAB's first axis is HDF5's last
    else:
        data = of_mapping(path.stem, _variables(content, path), f"data file {path}", str(path.resolve()))
    x_train, y_train, moved = _samples_first(data.x_train, data.y_train)
    if data.x_test is None or data.y_test is None:
        return RawData(data.name, x_train, y_train, source=data.source, notes=(*data.notes, *moved))
    x_test, y_test, _ = _samples_first(data.x_test, data.y_test)
    return RawData(data.name, x_train, y_train, x_test, y_test, data.source, (*data.notes, *moved))


def _samples_first(x: Array, y: Array) -> tuple[Array, Array, tuple[str, ...]]:
    """Images and labels with the samples along the first axis, and what was moved."""
    if y.ndim == 2 and y.shape[0] == 1:
        y = y[0]
    n = len(y)
    if x.ndim > 1 and x.shape[0] != n == x.shape[-1]:
        return np.ascontiguousarray(np.moveaxis(x, -1, 0)), y, (f"samples lie along the last of {x.ndim} axes",)
    return x, y, ()


def _variables(content: bytes, path: Path) -> dict[str, Any]:
    """The variables of a file before version 7.3; structures as mappings."""
    try:
        return Mat5(content, f"data file {path}").variables()
    except UserError:
        raise
    except (*DAMAGE, StopIteration) as error:
        raise UserError(
            f"data file {path}: damaged or no .mat file ({first_line(error)}); save it again with -v7"
        ) from error
