"""Training images shifted at random by a few pixels, or mirrored: more images than there are, of the same kind.

What moves in from outside is black. Shifts are a function of seed, epoch and place in the epoch, so they do not depend
on chunks, workers or interruptions. Validation and test images stay where and as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neuro.base.arrays import Bools, Int64, Payloads
from neuro.base.errors import UserError
from neuro.front_ends.pixels import PixelEncoder


def check_shift(reach: int, shape: tuple[int, ...], flip: bool = False) -> None:
    """Raise UserError unless images of `shape` can be shifted by up to `reach` pixels, and mirrored if so wanted."""
    if flip and len(shape) < 2:
        raise UserError(f"flip: images of shape {shape} have no rows and columns; leave it out")
    if reach and len(shape) < 2:
        raise UserError(f"shift {reach}: images of shape {shape} have no rows and columns; leave it out")
    if reach and not 0 <= reach < min(shape[:2]):
        raise UserError(f"shift {reach} outside 0..{min(shape[:2]) - 1}: images have {shape[0]} x {shape[1]} pixels")


@dataclass(frozen=True, eq=False)
class Shift:
    """Shifts of encoded images.

    reach: pixels, at most, along each of the two axes.  shape: of an image, (h, w[, c]).
    black: payloads of an image without light, of shape [N].  flip: whether half of the images are mirrored.
    """

    reach: int
    shape: tuple[int, ...]
    black: Payloads
    flip: bool = False

    def presented(self, payloads: Payloads, seed: int, epoch: int, first: int, n_images: int) -> Payloads:
        """The images [B, N] that are presented as number first.. of an epoch of `n_images`, as they then are."""
        which = slice(first, first + len(payloads))
        if self.flip:
            payloads = self.mirrored(payloads, self.flipped(seed, epoch, n_images)[which])
        return self.moved(payloads, self.drawn(seed, epoch, n_images)[which])

    def flipped(self, seed: int, epoch: int, n_images: int) -> Bools:
        """Which presentations of an epoch are mirrored, of shape [n_images]."""
        return np.random.default_rng([seed, epoch, 0xF11B]).random(n_images) < 0.5

    def mirrored(self, payloads: Payloads, which: Bools) -> Payloads:
        """Exchange left and right of the images of shape [B, N] that `which`, [B], names."""
        light = (payloads - self.black).reshape(len(payloads), self.shape[0], self.shape[1], -1)
        found = np.where(which[:, None, None, None], light[:, :, ::-1], light).reshape(len(payloads), -1)
        return np.ascontiguousarray(found + self.black, dtype=np.int16)

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


def shift_of(reach: int, shape: tuple[int, ...], encoder: PixelEncoder, flip: bool = False) -> Shift | None:
    """The shifts of images of `shape` as `encoder`, without transform, encodes them; None if nothing moves."""
    if not (reach or flip):
        return None
    check_shift(reach, shape, flip)
    return Shift(reach, shape, encoder.encode(np.zeros((1, *shape), dtype=np.uint8))[0], flip)
