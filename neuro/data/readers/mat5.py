"""MATLAB's files of version 5 to 7: elements of a tag (type, number of bytes) and data; arrays are elements of them.

Only what is data is read: numbers, text, structures and cells of these; objects and functions are left out. Every
length is checked against the bytes that are there: a damaged file is refused.
Source: MathWorks, "MAT-File Format", R2021b.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.base.arrays import Array
from neuro.base.memory import require_bytes
from neuro.data.readers.bounds import require_array

HEADER, TAG, LARGEST_SMALL, DEEPEST, MOST_FIELDS = 128, 8, 4, 12, 1000
MATRIX, PACKED = 14, 15
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8", 16: "u1", 17: "u2",
         18: "u4"}  # fmt: skip
TEXTS = {1: "latin-1", 2: "utf-8", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
CELL, STRUCTURE, TEXT = 1, 2, 4
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}


@dataclass(frozen=True)
class Element:
    """One element. kind: number of its type; data: its bytes."""

    kind: int
    data: bytes


class Mat5:
    """A reader of one file. owner: what to name in errors; order: of the bytes, "<" or ">"."""

    def __init__(self, content: bytes, owner: str) -> None:
        self.content, self.owner = content, owner
        self.order = ">" if content[126:128] == b"MI" else "<"

    def variables(self) -> dict[str, Any]:
        """The variables by name: arrays, text, structures as mappings, cells as lists.

        Raises: ValueError if the file is damaged; UserError if it declares more than may be read.
        """
        if len(self.content) < HEADER or self.content[126:128] not in (b"MI", b"IM"):
            raise ValueError("no MATLAB file of version 5 to 7")
        found: dict[str, Any] = {}
        for element in self._elements(self.content[HEADER:]):
            element = self._unpacked(element)
            if element.kind == MATRIX and element.data:
                name, value = self._matrix(element.data, 0)
                if name and value is not None:
                    found[name] = value
        return found

    def _elements(self, data: bytes) -> Iterator[Element]:
        """The elements that follow one another; small ones have both tag and data in eight bytes."""
        at = 0
        while at + TAG <= len(data):
            first, length = (int(word) for word in np.frombuffer(data[at : at + TAG], f"{self.order}u4"))
            if first >> 16:
                kind, length, start, after = first & 0xFFFF, first >> 16, at + 4, at + TAG
                if length > LARGEST_SMALL:
                    raise ValueError("a small element of more than four bytes")
            else:
                kind, start = first, at + TAG
                after = start + length + (0 if kind == PACKED else -length % TAG)
            if start + length > len(data):
                raise ValueError("an element ends beyond the file")
            yield Element(kind, data[start : start + length])
            at = after

    def _unpacked(self, element: Element) -> Element:
        """A packed element as the one that it holds, whose tag says how long that is."""
        if element.kind != PACKED:
            return element
        unpacker = zlib.decompressobj()
        tag = unpacker.decompress(element.data, TAG)
        if len(tag) < TAG:
            raise ValueError("a packed element without a tag")
        kind, length = (int(word) for word in np.frombuffer(tag, f"{self.order}u4"))
        require_bytes(self.owner, length)
        data = unpacker.decompress(unpacker.unconsumed_tail, length) if length else b""
        if len(data) < length:
            raise ValueError("a packed element shorter than its tag says")
        return Element(kind, data)

    def _matrix(self, data: bytes, depth: int) -> tuple[str, Any]:
        """Name and value of an array; None for what is no data."""
        parts = self._elements(data)
        flags, shape, name = (self._numbers(next(parts)) for _ in range(3))
        lengths = tuple(int(length) for length in shape)
        if len(flags) == 0 or depth > DEEPEST or min(lengths, default=-1) < 0:
            raise ValueError("an array without flags or axes")
        kind = int(flags[0]) & 0xFF
        label = bytes(int(letter) & 0x7F for letter in name).decode("ascii")
        if kind == CELL:
            return label, [self._matrix(part.data, depth + 1)[1] for part in parts if part.kind == MATRIX and part.data]
        if kind == STRUCTURE:
            return label, self._structure(parts, lengths, depth)
        if kind == TEXT:
            return label, self._text(next(parts), lengths)
        return label, self._array(next(parts), lengths, CLASSES[kind]) if kind in CLASSES else None

    def _structure(self, parts: Iterator[Element], shape: tuple[int, ...], depth: int) -> dict[str, Any] | None:
        """A single structure as a mapping of its fields, arrays of them as None."""
        width, names = int(self._numbers(next(parts))[0]), next(parts).data
        if math.prod(shape) != 1 or width < 1 or len(names) > width * MOST_FIELDS:
            return None
        fields = [names[k : k + width].split(b"\0")[0].decode("latin-1") for k in range(0, len(names), width)]
        values = [self._matrix(next(parts).data, depth + 1)[1] for _ in fields]
        return {field: value for field, value in zip(fields, values, strict=True) if value is not None}

    def _text(self, element: Element, shape: tuple[int, ...]) -> Array:
        """The rows of an array of letters, of shape [rows]."""
        letters = element.data.decode(TEXTS[element.kind] + self._ending(element.kind), "replace")
        if len(shape) != 2 or len(letters) != math.prod(shape):
            raise ValueError("text of another length than its axes say")
        return np.array([letters[row :: shape[0]].rstrip() for row in range(shape[0])])

    def _ending(self, kind: int) -> str:
        """Which end comes first, where a letter has several bytes."""
        return {"<": "-le", ">": "-be"}[self.order] if TEXTS[kind] in ("utf-16", "utf-32") else ""

    def _array(self, element: Element, shape: tuple[int, ...], dtype: str) -> Array:
        """An array of numbers, which a file may hold in a smaller type than its own."""
        values = self._numbers(element)
        if len(values) != math.prod(shape):
            raise ValueError("numbers of another count than their axes say")
        require_array(self.owner, shape, dtype)
        return values.astype(dtype).reshape(shape, order="F")

    def _numbers(self, element: Element) -> Array:
        dtype = np.dtype(f"{self.order}{TYPES[element.kind]}")
        if len(element.data) % dtype.itemsize:
            raise ValueError("numbers that are not whole")
        return np.frombuffer(element.data, dtype)
