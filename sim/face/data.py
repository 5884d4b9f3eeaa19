"""Data as people have it: a name, a file, arrays. Arrays without a test part give one of every five images to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuro.base.errors import UserError
from neuro.base.files import array_bytes, write_atomically
from neuro.data.options import DEFAULTS, DataOptions
from neuro.data.raw import RawData
from neuro.data.sets import KEYS, OWN_DATA, Dataset, load_dataset, prepare

if TYPE_CHECKING:
    import numpy.typing as npt

    Arrays = Sequence[npt.ArrayLike] | Mapping[str, npt.ArrayLike]
    Data = str | Path | Dataset | Arrays


def dataset_of(data: Data, seed: int = 0, options: DataOptions = DEFAULTS) -> Dataset:
    """The data set that `data` means.

    Args:   data: a name or file as `load_dataset` takes it, a Dataset, (images, labels), four arrays (x_train, y_train,
            x_test, y_test), or a mapping with these names; images of shape [n, h, w(, c)] or [n, d], uint8 or float in
            [0, 1]; labels of shape [n] from 0. seed: draws the test part of (images, labels), a fifth of every class.
            options: how they are prepared.
    Raises: UserError if it is none of these, or the arrays do not fit.
    """
    if isinstance(data, (str, Path)):
        return load_dataset(str(data), seed, options)
    return data if isinstance(data, Dataset) else prepare(raw_of(data), options, seed)


def raw_of(arrays: Arrays) -> RawData:
    """Arrays as a source of data. Raises: UserError if they are none of what `dataset_of` names."""
    if isinstance(arrays, Mapping):
        missing = [key for key in KEYS if key not in arrays]
        if missing:
            raise UserError(f"data: lacks {', '.join(missing)}; give {', '.join(KEYS)}")
        arrays = [arrays[key] for key in KEYS]
    if not isinstance(arrays, (tuple, list)) or len(arrays) not in (2, 4):
        raise UserError(
            "data: give a name, a FILE.npz, (images, labels), (x_train, y_train, x_test, y_test), or a mapping of them"
        )
    x_train, y_train, *test_part = map(_array, arrays)
    x_test, y_test = test_part or (None, None)
    return RawData(Path(OWN_DATA).stem, x_train, y_train, x_test, y_test)


def _array(part: Any) -> npt.NDArray[Any]:
    """A part as numpy has it; tensors of torch come from wherever they are."""
    if hasattr(part, "detach"):
        part = part.detach().cpu().numpy()
    return np.asarray(part)


def keep_arrays(dataset: Dataset, folder: Path) -> Dataset:
    """The data set; one that no name or file leads to is written into `folder` first, and found there from then on."""
    if dataset.source:
        return dataset
    arrays = (dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test)
    write_atomically(folder / OWN_DATA, array_bytes(dict(zip(KEYS, arrays, strict=True))))
    return replace(dataset, source=OWN_DATA)
