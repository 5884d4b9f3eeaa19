"""HDF5 files (.h5, .hdf5, and .mat since 7.3), by the names of what they hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neuro.base.arrays import Array
from neuro.base.errors import UserError, first_line
from neuro.base.files import require_regular
from neuro.base.hdf5 import lies_elsewhere
from neuro.data.raw import RawData
from neuro.data.readers.arrays import of_mapping, plain
from neuro.data.readers.bounds import require_array
from neuro.data.readers.extras import require_extra


def read_hdf5(path: Path) -> RawData:
    """The data in an HDF5 file; groups count as parts of names: train/images. Links to other files are not followed."""
    return of_hdf5(path, lambda array: array)


def of_hdf5(path: Path, turned: Callable[[Array], Array]) -> RawData:
    """The data in an HDF5 file; every array is passed through `turned`.

    Raises: UserError if h5py is missing or the file damaged; declared sizes are checked before anything is read.
    """
    require_extra("h5py", "data", f"data file {path}")
    import h5py

    def take(dataset: Any, place: str) -> Array:
        require_array(place, dataset.shape, dataset.dtype)
        try:
            values = dataset.asstr()[()] if h5py.check_string_dtype(dataset.dtype) else dataset[()]
        except (OSError, ValueError, RuntimeError, UnicodeDecodeError) as error:
            raise UserError(f"{place}: damaged ({first_line(error)}); copy the file again") from error
        return turned(plain(np.asarray(values), place))

    require_regular(path)
    try:
        with h5py.File(path, "r") as file:
            datasets: dict[str, Any] = {}
            file.visititems(lambda name, entry: _keep(datasets, name, entry, h5py.Dataset))
            return of_mapping(path.stem, datasets, f"data file {path}", str(path.resolve()), take)
    except UserError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise UserError(f"data file {path}: damaged or no HDF5 file ({first_line(error)}); copy it again") from error


def _keep(datasets: dict[str, Any], name: str, entry: Any, kind: Any) -> None:
    """Keep what is an array of its own file, in no folder of MATLAB's references."""
    if (
        isinstance(entry, kind)
        and not str(name).startswith("#")
        and entry.shape is not None
        and not lies_elsewhere(entry)
    ):
        datasets[str(name)] = entry
