"""Training images shifted at random by a few pixels: more images than there are, of the same kind.

What moves in from outside is black. Shifts are a function of seed, epoch and place in the epoch, so they do not depend
on chunks, workers or interruptions. Validation and test images stay where they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neuro.base.arrays import Int64, Payloads
from neuro.base.errors import UserError
from neuro.front_ends.pixels import PixelEncoder


def check_shift(reach: int, shape: tuple[int, ...]) -> None:
    """Raise UserError unless images of `shape` can be shifted by up to `reach` pixels."""
    if reach and len(shape) < 2:
        raise UserError(f"shift {reach}: images of shape {shape} have no rows and columns; leave it out")
    if reach and not 0 <= reach < min(shape[:2]):
        raise UserError(f"shift {reach} outside 0..{min(shape[:2]) - 1}: images have {shape[0]} x {shape[1]} pixels")


@dataclass(frozen=True, eq=False)
class Shift:
    """Shifts of encoded images.

    reach: pixels, at most, along each of the two axes.  shape: of an image, (h, w[, c]).
    black: payloads of an image without light, of shape [N].
    """

    reach: int
    shape: tuple[int, ...]
    black: Payloads

    def drawn(self, seed: int, epoch: int, n_images: int) -> Int64:
        """The shift of each presentation of an epoch down and right, of shape [n_images, 2]."""
        generator = np.random.default_rng([seed, epoch, 0x5817])
        return generator.integers(-self.reach, self.reach, (n_images, 2), dtype=np.int64, endpoint=True)

    def moved(self, payloads: Payloads, by: Int64) -> Payloads:
        """Move images of shape [B, N] by whole pixels, [B, 2].

        payload = light - offset, so that what moves is payload - black: for centred images too.
        """
        height, width, reach = self.shape[0], self.shape[1], self.reach
        light = (payloads - self.black).reshape(len(payloads), height, width, math.prod(self.shape[2:]))
        padded = np.pad(light, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
        rows, columns = (
            reach - by[:, axis, None] + np.arange(length)[None, :] for axis, length in enumerate((height, width))
        )
        each = np.arange(len(payloads))[:, None, None]
        found = padded[each, rows[:, :, None], columns[:, None, :]].reshape(len(payloads), -1)
        return np.ascontiguousarray(found + self.black, dtype=np.int16)


def shift_of(reach: int, shape: tuple[int, ...], encoder: PixelEncoder) -> Shift | None:
    """The shifts of images of `shape` as `encoder`, without transform, encodes them; None for reach 0."""
    if not reach:
        return None
    check_shift(reach, shape)
    return Shift(reach, shape, encoder.encode(np.zeros((1, *shape), dtype=np.uint8))[0])
