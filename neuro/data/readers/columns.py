"""Tables: which column holds labels, which are features, whether the features are pixels."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from neuro.base.arrays import Array
from neuro.base.errors import UserError
from neuro.data.readers.keys import listed, words_of
from neuro.data.readers.parts import Part

LABEL_NAMES = ("label", "labels", "class", "target", "y", "species", "category", "classes", "targets", "variety",
               "diagnosis", "outcome", "digit")  # fmt: skip
INDEX_NAMES = ("", "id", "index", "unnamed: 0")
PIXEL = re.compile(r"(pixel|pix|px|p|attr|v|x)?[ _.]?\d+|\d+x\d+|")
SMALLEST_PICTURE = 64
LARGEST_LABEL = 2.0**53
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", "-nan")
RowName = Callable[[int], str]


def row_of(index: int) -> str:
    """Name of a row, for errors."""
    return f"row {index + 1}"


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length by name, in order. place: what holds them; row: a row by its index; both for errors."""

    place: str
    columns: Mapping[str, Array]
    row: RowName = row_of
    is_named: bool = True

    def called(self, column: str) -> str:
        """A column, for errors."""
        return f"column {column}" if self.is_named else f"column {list(self.columns).index(column) + 1}"


def part_of_table(table: Table, label: str = "") -> Part:
    """Features and labels of a table, pixels as images.

    Args:   label: the column of the labels, where that is known.
    Raises: UserError naming row and column of a missing value, or the column that is text.
    """
    if len(table.columns) < 2 or not len(next(iter(table.columns.values()))):
        raise UserError(
            f"{table.place}: {len(table.columns)} columns and no rows to learn from; give features and labels"
        )
    label = label or _label_of(table)
    if label not in table.columns:
        raise UserError(
            f"{table.place}: no column {label} among {listed(table.columns)}; name the labels as in training"
        )
    notes = [f"labels from {table.called(label)}"]
    for column, values in table.columns.items():
        _require_values(table, column, values)
    features = {column: values for column, values in table.columns.items() if column != label}
    indices = [column for column in features if _is_index(column, features[column])]
    for column in indices if len(features) > len(indices) else []:
        notes.append(f"column {column!r} numbers the rows and is not used")
        del features[column]
    for column, values in features.items():
        if values.dtype.kind not in "biuf":
            row = next((k for k, value in enumerate(values) if not is_number(str(value))), 0)
            raise UserError(
                f"{table.place}: {table.called(column)} is text ({str(values[row])!r:.40} in {table.row(row)}); "
                "make numbers of it, or delete it"
            )
    x = np.stack(list(features.values()), axis=1)
    shape = _picture(list(features), x, table.is_named)
    if shape:
        x = x.reshape(len(x), *shape)
        notes.append(f"{math.prod(shape)} columns are the pixels of pictures of {shape[0]} x {shape[1]}")
    y = table.columns[label]
    if y.dtype.kind == "f" and np.all(np.equal(np.mod(y, 1), 0)) and np.abs(y).max() < LARGEST_LABEL:
        y = y.astype(np.int64)  # a text has no types
    return Part(x, y, tuple(notes), label)


def is_number(cell: str) -> bool:
    """Whether a text is a number, and no missing value."""
    try:
        float(cell)
    except ValueError:
        return False
    return cell not in MISSING


def _label_of(table: Table) -> str:
    """The column of the labels: by its name; or the last or first one that looks like classes."""
    by_name = {" ".join(words_of(column)): column for column in reversed(list(table.columns))}
    if table.is_named:
        for name in LABEL_NAMES:
            if name in by_name:
                return by_name[name]
    first, *_, last = table.columns
    ends = [column for column in (last, first) if looks_like_classes(table.columns[column])]
    if not ends:
        raise UserError(
            f"{table.place}: no column looks like classes among {listed(table.columns)}; call that of the labels label"
        )
    if len(ends) == 2 and math.isqrt(len(table.columns) - 1) ** 2 == len(table.columns) - 1 >= SMALLEST_PICTURE:
        return min(ends, key=lambda column: _most_common(table.columns[column]))  # the other is the corner of a picture
    return ends[0]


def looks_like_classes(values: Array) -> bool:
    """Whether a column is text or whole numbers, of at least two values, some of which return."""
    if values.dtype.kind == "f" and not np.all(np.equal(np.mod(values, 1), 0)):
        return False
    n_values = len(np.unique(values))
    return 2 <= n_values <= max(2, len(values) // 2)


def _most_common(values: Array) -> int:
    """How often the most frequent value occurs."""
    return int(np.unique(values, return_counts=True)[1].max())


def _is_index(column: str, values: Array) -> bool:
    """Whether a column only numbers the rows: its name says so and its values rise by one."""
    if column.strip().lower() not in INDEX_NAMES or values.dtype.kind not in "iuf":
        return False
    return bool(len(values) > 1 and np.all(np.diff(values.astype(np.float64)) == 1))


def _require_values(table: Table, column: str, values: Array) -> None:
    if values.dtype.kind == "f":
        missing = np.isnan(values)
    elif values.dtype.kind == "U":
        missing = np.isin(np.char.strip(values.astype(np.str_)), MISSING)
    else:
        return
    if np.any(missing):
        row = int(np.flatnonzero(missing)[0])
        raise UserError(
            f"{table.place}: no value in {table.row(row)}, {table.called(column)} ({np.sum(missing)} of {len(values)} "
            "missing); fill them in, or delete those rows"
        )


def _picture(names: list[str], x: Array, is_named: bool) -> tuple[int, int] | tuple[()]:
    """The shape of the picture that features are, () if they are none: numbered pixels of a square, of 0..255."""
    side = math.isqrt(x.shape[1])
    if side * side != x.shape[1] or x.shape[1] < SMALLEST_PICTURE:
        return ()
    if is_named and not all(PIXEL.fullmatch(name.lower()) for name in names):
        return ()
    whole = np.all(np.equal(np.mod(x.astype(np.float64), 1), 0))
    return (side, side) if whole and x.min() >= 0 and x.max() <= 255 else ()
