"""Intervals of figures that are no shares: the bootstrap over images, equal on every machine.

Source: Efron 1979; the 2.5 and 97.5 % quantiles of what resampled images give.
"""

from __future__ import annotations

import numpy as np

from neuro.base.arrays import Reals
from neuro.base.gaussian import uniform

DRAWS, LOW, HIGH = 1000, 2.5, 97.5
STREAM = 0xB0075  # of the random numbers


def resampling(n: int, draws: int = DRAWS, seed: int = 0) -> Reals:
    """How often each of n images is drawn, of shape [draws, n]; every row sums to n."""
    counts = np.empty((draws, n))
    for row in range(draws):
        chosen = np.floor(uniform(seed, STREAM + row, 0, n) * n).astype(np.int64)
        counts[row] = np.bincount(chosen, minlength=n)
    return counts


def interval_of(values: Reals) -> tuple[float, float]:
    """The 95 % interval of a figure, given its values on resampled images, of shape [draws]; NaN are left out."""
    low, high = np.nanpercentile(values, (LOW, HIGH))
    return float(low), float(high)
