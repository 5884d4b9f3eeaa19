"""Columns of whatever type, as Hugging Face and data frames have them: pictures, vectors, numbers, text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from neuro.base.arrays import Array
from neuro.base.errors import UserError
from neuro.data.readers.arrays import as_array
from neuro.data.readers.columns import Table, part_of_table
from neuro.data.readers.keys import LABELS, listed, meaning_of
from neuro.data.readers.parts import Part
from neuro.data.readers.pictures import picture_of, stacked

Values = Array | Sequence[Any]


def part_of_columns(columns: Mapping[str, Values], place: str, label: str = "") -> Part:
    """Images or features, and labels: a column of pictures or of vectors is the images; else all numbers are features.

    Args:   label: the column of the labels, where that is known.
    Raises: UserError naming what is missing.
    """
    wide = [name for name, values in columns.items() if len(values) and is_wide(values[0])]
    if not wide:
        narrow = {name: as_array(values, f"{place}, column {name}") for name, values in columns.items()}
        return part_of_table(Table(place, narrow), label)
    images = _images_among(wide, place)
    others = [name for name in columns if name not in wide]
    label = label or _label_among(others, place)
    if label not in columns:
        raise UserError(f"{place}: no column {label} among {listed(columns)}; name the labels as in training")
    x, notes = images_of(columns[images], f"{place}, column {images}")
    y = as_array(columns[label], f"{place}, column {label}")
    return Part(x, y, (f"images from column {images}, labels from column {label}", *notes), label)


def is_wide(value: Any) -> bool:
    """Whether an entry of a column is a picture or several numbers."""
    if isinstance(value, (bytes, Mapping)) or is_picture(value):
        return True
    return isinstance(value, (list, tuple)) or np.ndim(value) > 0


def is_picture(value: Any) -> bool:
    """Whether this is a picture of Pillow's."""
    return hasattr(value, "convert") and hasattr(value, "getbands")


def _images_among(names: list[str], place: str) -> str:
    known = [name for name in names if (meaning := meaning_of(name)) is not None and meaning.role == "x"]
    if len(known or names) > 1:
        raise UserError(f"{place}: columns {listed(known or names)} could all be the images; keep one, named image")
    return (known or names)[0]


def _label_among(names: list[str], place: str) -> str:
    meanings = {name: meaning for name in names if (meaning := meaning_of(name)) is not None and meaning.role == "y"}
    if not meanings:
        if len(names) == 1:
            return names[0]
        raise UserError(f"{place}: no column of labels among {listed(names)}; call it label (known: {listed(LABELS)})")
    return min(meanings, key=lambda name: (len(meanings[name].rest), meanings[name].rank))


def images_of(values: Values, place: str) -> tuple[Array, tuple[str, ...]]:
    """Entries of a column as one array: packed pictures, Pillow's pictures, or numbers; and what was done."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        return as_array(values, place), ()
    contents = [_packed(value) for value in values]
    if all(content is None for content in contents):
        return as_array(list(values), place), ()
    pictures = []
    for k, content in enumerate(contents):
        if content is None:
            raise UserError(f"{place}: row {k + 1} holds no picture; fill it in, or delete the row")
        pictures.append(picture_of(f"picture {k + 1}", content))
    return stacked(pictures, place)


def _packed(value: Any) -> Callable[[], bytes] | None:
    """What gives the bytes of a picture, None if it is none."""
    if isinstance(value, Mapping):
        value = value.get("bytes")
    if isinstance(value, bytes):
        content = value
        return lambda: content
    return None
