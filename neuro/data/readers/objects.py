"""Objects of Python: arrays, tensors, lists, mappings, frames, data sets and loaders, known by what they can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neuro.base.errors import UserError
from neuro.data.raw import RawData
from neuro.data.readers.arrays import of_mapping, of_sequence
from neuro.data.readers.keys import SPLIT_OF, test_split
from neuro.data.readers.parts import Part, joined
from neuro.data.readers.records import part_of_columns
from neuro.data.readers.samples import is_dataset, is_loader, part_of_samples

NAME = "data"
FORMS = (
    "a name, a file or folder, (images, labels), (x_train, y_train, x_test, y_test), a mapping with these names, a "
    "data frame, a Dataset or DataLoader, or a pair of these for training and test"
)
LARGEST_TUPLE = 4


def raw_of(data: Any) -> RawData:
    """The data in an object.

    Raises: UserError if it is none of what `FORMS` names, or cannot be used.
    """
    if isinstance(data, RawData):
        return data
    if _is_whole(data):
        return joined(NAME, "", [_part(data)])
    if isinstance(data, Mapping):
        parts = {SPLIT_OF[str(name).lower()]: part for name, part in data.items() if str(name).lower() in SPLIT_OF}
        if "train" in parts and all(map(_is_whole, parts.values())):
            test, notes = test_split(set(parts), set(parts))
            return _of_parts(parts["train"], parts[test] if test else None, notes)
        return of_mapping(NAME, data, NAME)
    if isinstance(data, (tuple, list)):
        if len(data) == 2 and all(map(_is_whole, data)) and not _is_frame_and_labels(data):
            return _of_parts(data[0], data[1], ())
        if _is_list_of_samples(data):
            return joined(NAME, "", [part_of_samples(_Listed(data), NAME)])
        return of_sequence(NAME, [_plain(part) for part in data], NAME)
    raise UserError(f"data: of type {type(data).__name__}; give {FORMS}")


class _Listed:
    """Samples in a list, as a data set."""

    def __init__(self, samples: Any) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        return self.samples[index]


def is_frame(data: Any) -> bool:
    """Whether this is a data frame, of pandas or polars."""
    return hasattr(data, "columns") and hasattr(data, "dtypes") and hasattr(data, "__getitem__")


def is_hugging_face(data: Any) -> bool:
    """Whether this is a Dataset of Hugging Face."""
    return hasattr(data, "column_names") and hasattr(data, "features") and not isinstance(data, Mapping)


def _is_whole(data: Any) -> bool:
    """Whether this holds images and labels both."""
    return is_frame(data) or is_hugging_face(data) or is_loader(data) or is_dataset(data)


def _is_frame_and_labels(data: Any) -> bool:
    """Whether this is a frame of features and a column of labels (a frame of one column, too)."""
    return is_frame(data[0]) and (not is_frame(data[1]) or len(data[1].columns) == 1)


def _is_list_of_samples(data: Any) -> bool:
    """Whether this is a list of (image, label) or of mappings, rather than images and labels."""
    if len(data) <= LARGEST_TUPLE and not isinstance(data[0] if data else None, Mapping):
        return False
    return all(
        isinstance(s, Mapping) or (isinstance(s, (tuple, list)) and len(s) == 2 and np.ndim(s[1]) == 0) for s in data
    )


def _of_parts(train: Any, test: Any, notes: tuple[str, ...]) -> RawData:
    part = _part(train)
    return joined(NAME, "", [part, *([] if test is None else [_part(test, part.label)])], notes)


def _part(data: Any, label: str = "") -> Part:
    """Images and labels of one object. label: the column of the labels, where that is known."""
    if is_frame(data):
        return part_of_columns(_columns(data), f"{NAME} frame", label)
    if is_hugging_face(data):
        return part_of_samples(data, NAME) if _has_pictures(data) else part_of_columns(_of_rows(data), NAME, label)
    return part_of_samples(data, NAME)


def _columns(frame: Any) -> dict[str, Any]:
    """The columns of a frame: numbers as they are, anything else as plain text or objects."""
    return {str(name): _column(frame[name]) for name in frame.columns}


def _column(column: Any) -> Any:
    """A column of a frame as an array; missing text is empty, missing numbers are NaN."""
    values = np.asarray(column.to_numpy())
    if values.dtype != object:
        return values
    missing = [value is None or value != value or type(value).__name__ == "NAType" for value in values]
    texts = any(isinstance(value, str) for value in values)
    entries = [("" if texts else np.nan) if gone else value for value, gone in zip(values, missing, strict=True)]
    return entries if any(np.ndim(entry) for entry in entries) else np.array(entries)


def _plain(part: Any) -> Any:
    """A part of a tuple: frames of features and columns of labels as arrays."""
    if is_frame(part):
        values = part.to_numpy()
        return values[:, 0] if values.shape[1] == 1 else values
    return part.to_numpy() if hasattr(part, "to_numpy") else part


def _has_pictures(data: Any) -> bool:
    return any(type(feature).__name__ == "Image" for feature in data.features.values())


def _of_rows(data: Any) -> dict[str, list[Any]]:
    """The columns of a data set of Hugging Face."""
    return {name: list(data[name]) for name in data.column_names}
