"""Two front ends in a row, "dn+v1": the second takes what the first gives as its pixels.

    byte = min(payload << shift, 255),    shift: as far as the largest payload of the first stays a byte

Source: Piper et al. 2025 (arXiv 2506.03089): normalisation before a V1 bank; its own subcortical stage is another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from neuro.base.arrays import Array, Int16, Int32, NamedArrays, Reals
from neuro.base.errors import UserError
from neuro.front_ends.fixed import BYTE, FixedFront


@dataclass(frozen=True, eq=False)
class FrontSequence(FixedFront):
    """The front end `first`, then `second`, whose images have the shape of the maps of the first."""

    kind: ClassVar[str] = "sequence"
    text: str
    image_shape: tuple[int, ...]
    window: int
    activation_bits: int
    first: FixedFront
    second: FixedFront

    @staticmethod
    def of(first: FixedFront, second: FixedFront) -> FrontSequence:
        """Both in a row. Raises: UserError if the first draws spikes."""
        text = f"{first.text}+{second.text}"
        if first.window:
            raise UserError(f"front end {text}: the first draws spikes; give v1:window=0 there, or turn them")
        return FrontSequence(text, first.image_shape, second.window, second.activation_bits, first, second)

    @property
    def shape(self) -> tuple[int, ...]:
        """See `FixedFront.shape`."""
        return self.second.shape

    @property
    def limit(self) -> int:
        """See `FixedFront.limit`."""
        return self.second.limit

    @property
    def shift(self) -> int:
        """By how much payloads of the first are shifted to become bytes."""
        return max((BYTE // self.first.limit).bit_length() - 1, 0)

    def apply(self, pixels: Int32) -> Int16:
        """See `FixedFront.apply`."""
        between = np.minimum(self.first.apply(pixels).astype(np.int32) << self.shift, BYTE)
        return self.second.apply(between.reshape(len(pixels), *self.second.planes))

    @property
    def fields(self) -> Reals:
        """See `FixedFront.fields`."""
        return self.first.fields @ self.second.fields

    def to_json(self) -> dict[str, Any]:
        """See `FixedFront.to_json`."""
        return {"parts": [{"kind": part.kind, **part.to_json()} for part in (self.first, self.second)]}

    def arrays(self) -> dict[str, Array]:
        """See `FixedFront.arrays`: of both parts, by their number."""
        parts = enumerate((self.first, self.second))
        return {f"{index}.{name}": values for index, part in parts for name, values in part.arrays().items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], arrays: NamedArrays) -> FrontSequence:
        """See `FixedFront.from_json`; the parts are rebuilt already."""
        first, second = content["parts"]
        return cls.of(first, second)
