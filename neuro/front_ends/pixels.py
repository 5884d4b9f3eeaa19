"""Encoders: images in [0, 1] -> integer payloads of the input population. Stored in the spec, run by every backend."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neuro.base.arrays import Array, Int16, Integers, Payloads, Reals
from neuro.base.checks import Range, require_integers
from neuro.base.errors import UserError
from neuro.front_ends.fixed import FixedFront
from neuro.front_ends.whitening import FINE_BITS, Transform, floor_units, limit_of, whitening_of

MAX_ACTIVATION_BITS, MAX_GAIN_BITS = 12, 8
CONTRAST_FLOOR, REGULARISER, REACH = 0.05, 0.1, 4.0
CHUNK = 1024  # images converted to floats at a time


@dataclass(frozen=True, eq=False)
class PixelEncoder:
    """Graded pixels, one spike per non-zero payload: payload = round(min(pixel * 2**gain_bits, 1) * one) - offset.

    activation_bits: payload unit is 2**-activation_bits; one = 2**activation_bits.
    offset:          integers of shape [N] in payload units (usually the mean training image), or None for none.
                     Centring removes the large common part of natural images; it costs more input spikes.
    gain_bits:       brightens dark images, whose pixels would else share a few payloads; see `gain_bits_for`.
    fixed:           a front end without learning, which takes pixels and gives the payloads, in place of all the rest:
                     see `neuro.front_ends.fixed`. None for none.
    transform:       what is done to pixels - offset, taken at FINE_BITS, to give the payload: divisive normalisation,
                     whitening, see `neuro.front_ends.whitening`. None for nothing.
    """

    activation_bits: int = 5
    offset: Int16 | None = None
    gain_bits: int = 0
    transform: Transform | None = None
    fixed: FixedFront | None = None

    def __post_init__(self) -> None:
        require_integers("encoder", activation_bits=self.activation_bits, gain_bits=self.gain_bits)
        Range(0, MAX_ACTIVATION_BITS).require("encoder", activation_bits=self.activation_bits)
        Range(0, MAX_GAIN_BITS).require("encoder", gain_bits=self.gain_bits)
        if self.fixed is not None and not (self.offset is None and self.transform is None and self.gain_bits == 0):
            raise UserError(
                f"encoder: front end {self.fixed.kind} takes pixels as they are; drop offset, gain, transform"
            )
        if self.offset is not None and self.offset.ndim != 1:
            raise UserError(f"encoder: its offset has shape {self.offset.shape}, needs one value per pixel in one row")
        if self.transform is not None and self.offset is not None:
            one = 1 << self.activation_bits
            if self.offset.size and not 0 <= int(self.offset.min()) <= int(self.offset.max()) <= one:
                raise UserError(f"encoder: its transform takes an offset in 0..{one}, a mean image; use centred_on")
            if self.transform.whitening is not None:
                self.transform.check_size(self.offset.size)

    @staticmethod
    def of(fixed: FixedFront) -> PixelEncoder:
        """The encoder that a front end is."""
        return PixelEncoder(fixed.activation_bits, fixed=fixed)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of the images that a front end takes; () without one: that of the input population."""
        return () if self.fixed is None else self.fixed.image_shape

    def squares(self, payloads: Integers) -> Reals:
        """The mean squares, in real units, of what payloads [B, N] give a receiver: chances of spikes vary."""
        if self.fixed is not None:
            return self.fixed.squares(payloads)
        return np.asarray(np.square(payloads * 2.0**-self.activation_bits))

    @property
    def by_pixel(self) -> bool:
        """Whether each payload belongs to one pixel."""
        return self.transform is None and self.fixed is None

    @property
    def signed(self) -> bool:
        """Whether payloads may be negative."""
        return self.offset is not None or (self.transform is not None and self.transform.whitening is not None)

    @property
    def payload_limit(self) -> int:
        """Largest |payload| of any image in [0, 1]."""
        if self.fixed is not None:
            return self.fixed.limit
        if self.transform is not None:
            return self.transform.limit
        one = 1 << self.activation_bits
        if self.offset is None or self.offset.size == 0:
            return one
        low, high = int(self.offset.min()), int(self.offset.max())
        return max(one - low, high, 1)

    def encode(self, images: Array) -> Payloads:
        """Payloads of shape [B, N].

        Args:   images of shape [B, ...] with N values each: uint8 (0..255 means 0..1) or float in [0, 1].
        Raises: UserError if the number of values per image is not that of `offset`.
        """
        if self.fixed is not None:
            return self.fixed.encode(images)
        if self.transform is None:
            return np.ascontiguousarray(self._centred(images, self.activation_bits), dtype=np.int16)
        self.transform.check_size(math.prod(images.shape[1:]))
        parts = [self.transform.apply(pixels, self.activation_bits) for pixels in self._fine(images)]
        return np.concatenate([np.zeros((0, math.prod(images.shape[1:])), dtype=np.int16), *parts])

    def _fine(self, images: Array) -> Iterator[Integers]:
        """Yield what `transform` takes: centred pixels in units of 2**-FINE_BITS, of shape [<= CHUNK, N]."""
        for first in range(0, len(images), CHUNK):
            yield self._centred(images[first : first + CHUNK], FINE_BITS)

    def _centred(self, images: Array, bits: int) -> Integers:
        """Pixels - offset in units of 2**-bits, of shape [B, N]."""
        flat = images.reshape(len(images), math.prod(images.shape[1:]))
        kind: npt.DTypeLike = np.int16 if bits <= MAX_ACTIVATION_BITS else np.int32
        if flat.dtype == np.uint8:
            table = np.floor(self._brightened(np.arange(256) / 255.0) * 2.0**bits + 0.5).astype(kind)
            pixels: Integers = table[flat]
        else:
            pixels = np.floor(self._brightened(flat.astype(np.float64)) * 2.0**bits + 0.5).astype(kind)
        if self.offset is None:
            return pixels
        if flat.shape[1] != self.offset.size:
            raise UserError(
                f"encoder: images hold {flat.shape[1]} values, the network takes {self.offset.size}; "
                "use the data set it was trained on or resize the images"
            )
        centre: Integers = self.offset.astype(kind)
        difference: Integers = pixels - np.left_shift(centre, bits - self.activation_bits)
        return difference

    def _brightened(self, pixels: Reals) -> Reals:
        return np.minimum(pixels * 2.0**self.gain_bits, 1.0)

    def centred_on(self, images: Array) -> PixelEncoder:
        """The encoder with the rounded mean of `images`, of shape [B, ...], as its offset."""
        flat = images.reshape(len(images), -1)
        one = 255.0 if images.dtype == np.uint8 else 1.0
        total = np.zeros(flat.shape[1])
        for first in range(0, len(flat), CHUNK):
            total += self._brightened(flat[first : first + CHUNK].astype(np.float64) / one).sum(axis=0)
        mean = total / len(flat)
        return replace(self, offset=np.floor(mean * (1 << self.activation_bits) + 0.5).astype(np.int16))

    def contrast_normalised(self, contrast_floor: float = CONTRAST_FLOOR, reach: float = REACH) -> PixelEncoder:
        """The encoder with divisive normalisation; a payload of 1.0 is the root mean square of an image.

        contrast_floor: root mean square of pixels - offset, brightened, in (0, 1], at which an image loses a factor
                        of sqrt(2); fainter ones stay faint, so that noise is not raised to full size.
        reach:          largest payload, real; beyond it values are clipped.
        Raises:         UserError if the encoder whitens already: contrast comes before whitening.
        """
        if self.transform is not None and self.transform.whitening is not None:
            raise UserError("encoder: whitens already; normalise the contrast first, then whiten what it gives")
        return replace(self, transform=Transform(limit_of(reach, self.activation_bits), floor_units(contrast_floor)))

    def whitened_on(self, images: Array, regulariser: float = REGULARISER, reach: float = REACH) -> PixelEncoder:
        """The encoder with whitening learned from `images`, of shape [B, ...]; 1.0 is one standard deviation.

        What it whitens are the values it gives so far: centred if it has an offset, of normalised contrast if it
        normalises. Directions of a variance far below regulariser * mean variance come out with less than 1.0.
        """
        floor = 0 if self.transform is None else self.transform.contrast_floor
        limit = limit_of(reach, self.activation_bits)
        matrix, exponent = whitening_of(lambda: self._fine(images), floor, regulariser)
        return replace(self, transform=Transform(limit, floor, matrix, exponent))

    def pixels_of(self, signals: Reals, images: Array) -> Reals:
        """Pixels in [0, 1], of shape [B, N], of real signals [B, N], payloads * 2**-activation_bits.

        images: of shape [B, ...], whose contrast the pixels get where normalisation took it away.
        """
        if self.transform is not None and len(images):
            signals = self.transform.undo(signals, np.concatenate(list(self._fine(images))))
        offset = 0.0 if self.offset is None else self.offset * 2.0**-self.activation_bits
        return np.clip((signals + offset) * 2.0**-self.gain_bits, 0.0, 1.0)


def gain_bits_for(images: Array) -> int:
    """The largest gain_bits at which at most 1 in 100 of `images`, of shape [B, ...], has a clipped pixel."""
    brightest = images.reshape(len(images), -1).max(axis=1).astype(np.float64)
    reach = float(np.quantile(brightest, 0.99)) / (255.0 if images.dtype == np.uint8 else 1.0)
    if reach <= 0.0:
        return 0
    return min(max(math.floor(-math.log2(reach)), 0), MAX_GAIN_BITS)
