"""Encoders: images in [0, 1] -> integer payloads of the input population. Stored in the spec, run by every backend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuro.errors import UserError

Payloads = npt.NDArray[np.int16]
MAX_ACTIVATION_BITS = 12


@dataclass(frozen=True, eq=False)
class PixelEncoder:
    """Graded pixels: payload = round(pixel * 2**activation_bits) - offset, one spike per non-zero payload.

    activation_bits: payload unit is 2**-activation_bits.
    offset:          integers of shape [N] in payload units (usually the mean training image), or None for none.
                     Centring removes the large common part of natural images; it costs more input spikes.
    """

    activation_bits: int = 5
    offset: npt.NDArray[np.int16] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.activation_bits <= MAX_ACTIVATION_BITS:
            raise UserError(f"encoder: activation_bits {self.activation_bits} outside 0..{MAX_ACTIVATION_BITS}")

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
            table = np.floor(np.arange(256) / 255.0 * one + 0.5).astype(np.int16)
            payload = table[flat]
        else:
            payload = np.floor(flat.astype(np.float64) * one + 0.5).astype(np.int16)
        if self.offset is not None:
            if flat.shape[1] != self.offset.size:
                raise UserError(
                    f"encoder: images hold {flat.shape[1]} values, the network takes {self.offset.size}; "
                    "use the data set it was trained on or resize the images"
                )
            payload = payload - self.offset
        return np.ascontiguousarray(payload, dtype=np.int16)


def mean_offset(images: npt.NDArray[np.generic], activation_bits: int) -> npt.NDArray[np.int16]:
    """Return the mean image of shape [N] in payload units, rounded: the `offset` that centres `images`."""
    mean = images.reshape(len(images), -1).mean(axis=0, dtype=np.float64)
    if images.dtype == np.uint8:
        mean = mean / 255.0
    offset: npt.NDArray[np.int16] = np.floor(mean * (1 << activation_bits) + 0.5).astype(np.int16)
    return offset
