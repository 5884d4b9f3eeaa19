"""Labels of any form as integers 0..n-1: text, floats, booleans, one-hot rows, numbers with holes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuro.base.arrays import AnyArray, Array, Labels
from neuro.base.errors import UserError

MAX_CLASSES = 4096
NAMES_SHOWN = 4
Label = str | int | bool  # as JSON keeps it


@dataclass(frozen=True)
class Classes:
    """What the classes of a source are called. names: by number; (): they are the numbers 0..n-1 themselves."""

    names: tuple[Label, ...] = ()

    @staticmethod
    def of(values: AnyArray, where: str) -> Classes:
        """Learn the classes of training labels, as `label_values` gives them; `where` is named in errors.

        Raises: UserError if they are too many.
        """
        names = _in_order(np.unique(values).tolist())
        if len(names) > MAX_CLASSES:
            raise UserError(f"{where} holds {len(names)} different labels, at most {MAX_CLASSES}; give classes")
        plain = values.dtype.kind != "b" and names == list(range(len(names)))
        return Classes(() if plain else tuple(names))

    def numbers(self, values: AnyArray, where: str) -> Labels:
        """The numbers of labels, of shape [n], as `label_values` gives them; `where` is named in errors.

        Raises: UserError if there is a label that is none of the classes.
        """
        if not self.names:
            return _plain(values, where)
        number = {name: index for index, name in enumerate(self.names)}
        different, position = np.unique(values, return_inverse=True)
        unknown = [value for value in different.tolist() if value not in number]
        if unknown:
            raise UserError(
                f"{where} holds label {unknown[0]!r}, the classes are {self.listed()}; use the same in both"
            )
        return np.asarray([number[value] for value in different.tolist()], dtype=np.int32)[position]

    def named(self, numbers: Array) -> AnyArray:
        """The names of class numbers, of the same shape; the numbers where the classes have no names."""
        return np.asarray(self.names)[numbers] if self.names else numbers

    def listed(self) -> str:
        """The first few names, in words."""
        return listed(self.names)


NUMBERED = Classes()


def listed(names: Sequence[Label]) -> str:
    """The first few of some names, in words: 'a', 'b', .. (7)."""
    shown = ", ".join(map(repr, names[:NAMES_SHOWN]))
    return shown if len(names) <= NAMES_SHOWN else f"{shown}, .. ({len(names)})"


def label_values(labels: Array, count: int, where: str) -> AnyArray:
    """One text, integer or boolean an image, of shape [n], of labels in any form; `where` is named in errors.

    Args:   labels of shape [n], [n, 1] or [n, classes] (one-hot); count: images.
    Raises: UserError if they are none of these, or not as many as images.
    """
    values: AnyArray = np.asarray(labels)
    if values.ndim == 2 and len(values) == count and values.shape[1] > 1:
        values = _of_one_hot(values, where)
    elif values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (count,):
        raise UserError(f"{where} has shape {values.shape}, its images need ({count},)")
    if values.dtype.kind == "O":
        values = _of_objects(values, where)
    if values.dtype.kind == "S":
        values = np.asarray([value.decode("utf-8", "replace") for value in values.tolist()])
    if values.dtype.kind == "f":
        values = _of_floats(values, where)
    if values.dtype.kind not in "biuU":
        raise UserError(f"{where} is {values.dtype}; labels are integers, text, booleans or one-hot rows")
    return values


def form_of(labels: Array, values: AnyArray, classes: Classes) -> str:
    """What was done to labels, in words; "" for nothing. values: `label_values` of them."""
    shape = {1: "", 2: "one-hot" if labels.shape[-1] > 1 else "[n, 1]"}[labels.ndim]
    if not classes.names:
        return f"labels {shape or labels.dtype} taken as 0..{int(values.max())}" if shape or _is_real(labels) else ""
    kind = {"U": "text ", "b": "booleans "}.get(values.dtype.kind, "")
    return f"labels {kind}{classes.listed()} mapped to 0..{len(classes.names) - 1}"


def _is_real(labels: Array) -> bool:
    return labels.dtype.kind == "f"


def _in_order(names: list[Label]) -> list[Label]:
    """Names in order; texts that are all whole numbers by their size."""
    texts = [name for name in names if isinstance(name, str)]
    if texts and all(re.fullmatch(r"-?[0-9]{1,18}", text) for text in texts):
        return sorted(texts, key=lambda text: (int(text), text))
    return names


def _plain(values: AnyArray, where: str) -> Labels:
    if values.dtype.kind not in "iu":
        raise UserError(f"{where} is {values.dtype}; the classes are the integers from 0")
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= MAX_CLASSES:
        raise UserError(f"{where} spans {low}..{high}, outside 0..{MAX_CLASSES - 1}; renumber the classes")
    return np.ascontiguousarray(values, dtype=np.int32)


def _of_one_hot(rows: AnyArray, where: str) -> AnyArray:
    """The column of the one in every row."""
    if rows.dtype.kind not in "biuf" or not (((rows == 0) | (rows == 1)).all() and (rows != 0).sum(axis=1).max() == 1):
        raise UserError(f"{where} has shape {rows.shape} and is not one-hot; give one label an image, or rows of one 1")
    if not (rows != 0).any(axis=1).all():
        raise UserError(f"{where} has rows without a 1; give one label an image")
    return np.asarray(rows.argmax(axis=1))


def _of_objects(values: AnyArray, where: str) -> AnyArray:
    """Objects of one kind, as tables hold them, in an array of their own type."""
    kinds = {type(value) for value in values.tolist()}
    if len(kinds) != 1 or not kinds <= {str, bytes, int, float, bool}:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise UserError(f"{where} holds {names}; labels are all text, or all numbers")
    return np.asarray(values.tolist())


def _of_floats(values: AnyArray, where: str) -> AnyArray:
    if not np.isfinite(values).all():
        raise UserError(f"{where} holds NaN or infinity; remove those images or give them a label")
    fractions = values != np.floor(values)
    if fractions.any() or np.abs(values).max() >= 2.0**53:
        odd = values[fractions][0] if fractions.any() else values[np.abs(values).argmax()]
        raise UserError(f"{where} holds {odd:g}, not a whole number; a classifier needs classes")
    return values.astype(np.int64)
