"""Edges of grey images, after Canny 1986, as OpenCV finds them with a window of 3 and the norm |dx| + |dy|."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate, label

from neuro.base.arrays import Bools, Reals

SOBEL = np.outer([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0])
STEEP, FLAT = 2.414213562373095, 0.4142135623730951  # tangents of 67.5 and 22.5 degrees


def edges_of(levels: Reals, low: float, high: float) -> Bools:
    """Where the edges of an image of levels 0..255, of shape [h, w], are.

    An edge is a largest slope across itself above `low`, in one piece with one above `high`.
    """
    right, down = (correlate(levels, kernel, mode="nearest") for kernel in (SOBEL, SOBEL.T))
    slope = np.abs(right) + np.abs(down)
    around = np.pad(slope, 1)

    def beside(rows: int, columns: int) -> Reals:
        return around[1 + rows : 1 + rows + slope.shape[0], 1 + columns : 1 + columns + slope.shape[1]]

    across = np.abs(down) < FLAT * np.abs(right)
    along = np.abs(down) > STEEP * np.abs(right)
    rising = np.sign(right) * np.sign(down) < 0
    before = np.where(
        across, beside(0, -1), np.where(along, beside(-1, 0), np.where(rising, beside(-1, 1), beside(-1, -1)))
    )
    after = np.where(across, beside(0, 1), np.where(along, beside(1, 0), np.where(rising, beside(1, -1), beside(1, 1))))
    ties = across | along  # of two equal neighbours the first one stays
    largest = (slope > before) & np.where(ties, slope >= after, slope > after) & (slope > low)
    pieces, count = label(largest, np.ones((3, 3)))
    strong = np.bincount(pieces.ravel(), (largest & (slope > high)).ravel(), count + 1) > 0
    found: Bools = largest & strong[pieces]
    return found
