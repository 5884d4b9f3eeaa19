"""Data as people have it: a name, a file, arrays. Arrays without a test part give one of every five images to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from neuro.base.files import array_bytes, write_atomically
from neuro.data.options import DEFAULTS, DataOptions
from neuro.data.preparation import Preparation
from neuro.data.readers.objects import raw_of
from neuro.data.sets import KEYS, OWN_DATA, Dataset, prepare
from neuro.data.sources import read_raw

Data = Any  # what `dataset_of` takes


def dataset_of(
    data: Data,
    seed: int = 0,
    options: DataOptions = DEFAULTS,
    like: Preparation | None = None,
    shape: tuple[int, ...] | None = None,
) -> Dataset:
    """The data set that `data` means.

    Args:   data: a name, a file or a folder (see `neuro.data.sources`), a Dataset, or an object as
            `neuro.data.readers.objects` takes it: (images, labels), four arrays (x_train, y_train, x_test, y_test), a
            mapping with these names, tensors, a data frame, a Dataset or DataLoader of torch, a Dataset of Hugging
            Face, or two of these for training and test. seed: draws the test part where there is none, a fifth of
            every class; options: how they are prepared; like: the preparation of a run, applied as it is; shape: of
            its images.
    Raises: UserError if it is none of these, or the arrays do not fit.
    """
    if isinstance(data, (str, Path)):
        return prepare(read_raw(str(data)), options, seed, like, shape)
    return data if isinstance(data, Dataset) else prepare(raw_of(data), options, seed, like, shape)


def keep_arrays(dataset: Dataset, folder: Path) -> Dataset:
    """The data set; one that no name or file leads to is written into `folder` first, and found there from then on."""
    if dataset.source:
        return dataset
    arrays = (dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test)
    write_atomically(folder / OWN_DATA, array_bytes(dict(zip(KEYS, arrays, strict=True))))
    return replace(dataset, source=OWN_DATA, preparation=replace(dataset.preparation, kept=True))
