"""One cell of one seed: what was measured, on how many images, or why nothing was."""

from __future__ import annotations

import binascii
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from neuro.base.arrays import Bools
from neuro.base.files import json_bytes
from neuro.base.schema import parsed

REMEDY = "delete it and give the command again"


@dataclass(frozen=True)
class Cell:
    """A figure of one row, one column and one seed.

    kind:   measured, counted or modelled.  value: None where there is none; then `reason` says why.
    low, high: of a modelled band.  n: images.
    right, shape: which images were right, as text (`packed`): what shares and mCE come from; "" for other figures.
    spread: standard deviation over images of figures that are means of them.  verdict: of an attack.
    """

    kind: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    right: str = ""
    shape: tuple[int, ...] = ()
    spread: float | None = None
    verdict: str = ""
    reason: str = ""

    @property
    def answers(self) -> Bools:
        """Which images were right, of `shape`."""
        return unpacked(self.right, self.shape)

    def to_bytes(self) -> bytes:
        """As a file holds it."""
        return json_bytes(asdict(self))


def cell_of(content: Any, owner: str) -> Cell:
    """The cell in a file. Raises: UserError if it is damaged."""
    from neuro.base.errors import UserError

    cell = parsed(content, Cell, owner, REMEDY)
    if cell.right and len(cell.right) * 4 < np.prod(cell.shape, dtype=np.int64):
        raise UserError(f"{owner}: answers of {cell.shape} images are not there; {REMEDY}")
    return cell


def share_of(right: Bools, verdict: str = "") -> Cell:
    """The share of images that are right."""
    return Cell("measured", float(right.mean()), n=len(right), right=packed(right), shape=right.shape, verdict=verdict)


def empty(reason: str, kind: str = "measured") -> Cell:
    """No figure, and why."""
    return Cell(kind, reason=" ".join(reason.split()))


def packed(right: Bools) -> str:
    """Yes and no as hexadecimal digits, eight an octet."""
    return binascii.hexlify(np.packbits(right.ravel()).tobytes()).decode()


def unpacked(text: str, shape: tuple[int, ...]) -> Bools:
    """What `packed` packed."""
    octets = np.frombuffer(binascii.unhexlify(text), dtype=np.uint8)
    found: Bools = np.unpackbits(octets, count=int(np.prod(shape, dtype=np.int64))).astype(bool).reshape(shape)
    return found
