"""Encoders: images in [0, 1] -> integer payloads of the input population. Stored in the spec, run by every backend."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neuro.errors import UserError, require_integers

Payloads = npt.NDArray[np.int16]
MAX_ACTIVATION_BITS, MAX_GAIN_BITS = 12, 8
CHUNK = 1024  # images converted to floats at a time


@dataclass(frozen=True, eq=False)
class PixelEncoder:
    """Graded pixels, one spike per non-zero payload: payload = round(min(pixel * 2**gain_bits, 1) * one) - offset.

    activation_bits: payload unit is 2**-activation_bits; one = 2**activation_bits.
    offset:          integers of shape [N] in payload units (usually the mean training image), or None for none.
                     Centring removes the large common part of natural images; it costs more input spikes.
    gain_bits:       brightens dark images, whose pixels would else share a few payloads; see `gain_bits_for`.
    """

    activation_bits: int = 5
    offset: npt.NDArray[np.int16] | None = None
    gain_bits: int = 0

    def __post_init__(self) -> None:
        require_integers("encoder", activation_bits=self.activation_bits, gain_bits=self.gain_bits)
        if not 0 <= self.activation_bits <= MAX_ACTIVATION_BITS:
            raise UserError(f"encoder: activation_bits {self.activation_bits} outside 0..{MAX_ACTIVATION_BITS}")
        if not 0 <= self.gain_bits <= MAX_GAIN_BITS:
            raise UserError(f"encoder: gain_bits {self.gain_bits} outside 0..{MAX_GAIN_BITS}")

    @property
    def payload_limit(self) -> int:
        """Largest |payload| of any image in [0, 1]."""
        one = 1 << self.activation_bits
        if self.offset is None or self.offset.size == 0:
            return one
        low, high = int(self.offset.min()), int(self.offset.max())
        return max(one - low, high, 1)

    def encode(self, images: npt.NDArray[np.generic]) -> Payloads:
        """Return payloads of shape [B, N].

        Args:   images of shape [B, ...] with N values each: uint8 (0..255 means 0..1) or float in [0, 1].
        Raises: UserError if the number of values per image is not that of `offset`.
        """
        flat = images.reshape(len(images), -1)
        one = 1 << self.activation_bits
        if flat.dtype == np.uint8:
            table = np.floor(self._brightened(np.arange(256) / 255.0) * one + 0.5).astype(np.int16)
            payload = table[flat]
        else:
            payload = np.floor(self._brightened(flat.astype(np.float64)) * one + 0.5).astype(np.int16)
        if self.offset is not None:
            if flat.shape[1] != self.offset.size:
                raise UserError(
                    f"encoder: images hold {flat.shape[1]} values, the network takes {self.offset.size}; "
                    "use the data set it was trained on or resize the images"
                )
            payload = payload - self.offset
        return np.ascontiguousarray(payload, dtype=np.int16)

    def _brightened(self, pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.minimum(pixels * 2.0**self.gain_bits, 1.0)

    def centred_on(self, images: npt.NDArray[np.generic]) -> PixelEncoder:
        """Return this encoder with the rounded mean of `images`, of shape [B, ...], as its offset."""
        flat = images.reshape(len(images), -1)
        one = 255.0 if images.dtype == np.uint8 else 1.0
        total = np.zeros(flat.shape[1])
        for first in range(0, len(flat), CHUNK):
            total += self._brightened(flat[first : first + CHUNK].astype(np.float64) / one).sum(axis=0)
        mean = total / len(flat)
        return replace(self, offset=np.floor(mean * (1 << self.activation_bits) + 0.5).astype(np.int16))


def gain_bits_for(images: npt.NDArray[np.generic]) -> int:
    """Return the largest gain_bits at which at most 1 in 100 of `images`, of shape [B, ...], has a clipped pixel."""
    brightest = images.reshape(len(images), -1).max(axis=1).astype(np.float64)
    reach = float(np.quantile(brightest, 0.99)) / (255.0 if images.dtype == np.uint8 else 1.0)
    if reach <= 0.0:
        return 0
    return min(max(math.floor(-math.log2(reach)), 0), MAX_GAIN_BITS)
