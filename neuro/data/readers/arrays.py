"""Arrays in memory, in whatever wrapping: mappings with the usual names, pairs, fours, nested ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from neuro.base.arrays import Array
from neuro.base.errors import UserError, first_line
from neuro.data.raw import RawData
from neuro.data.readers.keys import choose

FORMS = "give (images, labels), (x_train, y_train, x_test, y_test), or a mapping with these names"


def as_array(values: Any, place: str) -> Array:
    """Anything that holds numbers or text as an array; tensors come from wherever they are.

    Raises: UserError if it is ragged, or holds other things.
    """
    if isinstance(values, (list, tuple)) and values and _is_wrapped(values[0]):
        values = [as_array(value, place) for value in values]
    if hasattr(values, "detach"):
        values = _of_tensor(values, place)
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"{place}: holds entries of unequal shape; make them equal") from error
    return plain(array, place)


def _is_wrapped(value: Any) -> bool:
    return hasattr(value, "detach") or hasattr(value, "__array_interface__")


def _of_tensor(tensor: Any, place: str) -> Any:
    """A tensor of torch as numpy has it; types that numpy lacks (bfloat16) become float32."""
    try:
        tensor = tensor.detach().cpu()
        return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).resolve_conj().numpy()
    except (TypeError, RuntimeError) as error:
        raise UserError(f"{place}: a tensor that numpy cannot hold ({first_line(error)})") from error


def plain(array: Array, place: str) -> Array:
    """An array of numbers or text; bytes are read as UTF-8, objects that are all text or all numbers become such.

    Raises: UserError if it holds anything else.
    """
    if array.dtype.kind == "O":
        entries = [entry.decode("utf-8", "replace") if isinstance(entry, bytes) else entry for entry in array.ravel()]
        if not all(isinstance(entry, (str, bool, int, float, np.generic)) for entry in entries):
            odd = next(e for e in entries if not isinstance(e, (str, bool, int, float, np.generic)))
            raise UserError(f"{place}: holds entries of type {type(odd).__name__}; give numbers or text of one shape")
        if {isinstance(entry, str) for entry in entries} == {True, False}:
            raise UserError(f"{place}: holds numbers and text mixed; give one of them")
        return np.array(entries).reshape(array.shape)
    if array.dtype.kind == "S":
        try:
            return np.asarray(np.char.decode(array.astype(np.bytes_), "utf-8"))
        except UnicodeDecodeError as error:
            raise UserError(f"{place}: holds bytes that are no UTF-8 text; save text") from error
    if array.dtype.kind not in "biufU":
        raise UserError(f"{place}: is of type {array.dtype}; give numbers or text")
    return array


def flat(tree: Any, above: str = "") -> dict[str, Any]:
    """A tree of mappings as one mapping: {"train": {"x": a}} -> {"train/x": a}; a pair below a name is x and y."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{key}/")
        elif isinstance(value, (tuple, list)) and len(value) == 2 and all(np.ndim(part) for part in value[:1]):
            found |= {f"{key}/x": value[0], f"{key}/y": value[1]} if _is_pair(value) else {key: value}
        else:
            found[key] = value
    return found


def _is_pair(value: Sequence[Any]) -> bool:
    """Whether two things are images and labels rather than a list of two images: as long, of other shape."""
    shapes = [tuple(np.shape(part)) for part in value]
    return all(shapes) and shapes[0][0] == shapes[1][0] and len(shapes[1]) <= 2 and shapes[0] != shapes[1]


def of_mapping(
    name: str,
    tree: Mapping[str, Any],
    place: str,
    source: str = "",
    take: Callable[[Any, str], Array] = as_array,
    prefer: tuple[str, ...] = (),
) -> RawData:
    """The data in a mapping whose keys are names in use (see `neuro.data.readers.keys`), nested or not.

    Args:   place: what holds them, for errors. take: makes an array of a value; only of those that are used.
    Raises: UserError if images or labels are not found.
    """
    values = flat(tree)
    numbered = [key for key in values if key in ("arr_0", "arr_1", "arr_2", "arr_3")]
    if len(numbered) == len(values) and len(values) in (2, 4):  # numpy.savez(file, a, b)
        return of_sequence(name, [take(values[key], f"{place}: {key}") for key in sorted(values)], place, source)
    choice = choose(values, place, prefer)
    arrays = {role: take(values[key], f"{place}: {key}") for role, key in choice.keys.items()}
    return RawData(name=name, source=source, notes=choice.notes, **arrays)


def of_sequence(name: str, parts: Sequence[Any], place: str, source: str = "") -> RawData:
    """The data in (images, labels), ((images, labels), (images, labels)), or four arrays in either usual order.

    Raises: UserError if it is none of these.
    """
    if len(parts) == 2 and all(isinstance(part, (tuple, list)) and len(part) == 2 for part in parts) and all(
        np.ndim(part[0]) for part in parts
    ):  # fmt: skip
        parts = [*parts[0], *parts[1]]
    if len(parts) not in (2, 4):
        raise UserError(f"{place}: a sequence of {len(parts)}; {FORMS}")
    arrays = [as_array(part, f"{place}: part {k + 1}") for k, part in enumerate(parts)]
    notes: tuple[str, ...] = ()
    if len(arrays) == 4 and _is_split_order(arrays):
        arrays = [arrays[0], arrays[2], arrays[1], arrays[3]]
        notes = ("four arrays in the order x_train, x_test, y_train, y_test",)
    x_test, y_test = arrays[2:] or (None, None)
    return RawData(name, arrays[0], arrays[1], x_test, y_test, source=source, notes=notes)


def _is_split_order(arrays: list[Array]) -> bool:
    """Whether four arrays are as scikit-learn's train_test_split gives them: x_train, x_test, y_train, y_test."""
    x_train, x_test, y_train, y_test = arrays
    return (
        x_test.ndim == x_train.ndim > y_train.ndim
        and x_test.shape[1:] == x_train.shape[1:]
        and len(y_train) == len(x_train)
        and len(y_test) == len(x_test)
    )
