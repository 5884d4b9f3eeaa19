"""Grey levels: what images are before and after a corruption."""

from __future__ import annotations

import numpy as np

from neuro.base.arrays import Array, Reals, UInt8

DECIMALS = 6  # to which a level is rounded first: the last bits of a library's sums decide no level


def levels_of(pixels: Reals) -> UInt8:
    """Pixels in 0..1 as levels 0..255, of the same shape, cut off as the published sets are."""
    levels: UInt8 = np.floor(np.round(np.clip(pixels, 0.0, 1.0) * 255.0, DECIMALS)).astype(np.uint8)
    return levels


def nearest_levels(images: Array) -> UInt8:
    """Images of a data set (uint8, or float in 0..1) as the nearest levels."""
    if images.dtype == np.uint8:
        return images.astype(np.uint8)
    levels: UInt8 = np.floor(np.clip(images.astype(np.float64), 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return levels
