"""From real weights to integers with an exponent."""

from __future__ import annotations

import math


def exponent_for(reach: float, limit: int, largest: int) -> int:
    """The largest exponent e <= `largest` at which a real weight of size `reach` (> 0) still fits.

    Args:    limit, the largest integer weight; largest, a bound set by the shifts of the chip.
    Returns: e >= 0 with reach <= limit * 2**-e, the finest grid that does not saturate below `reach`; 0 if none does.
    """
    exponent = max(0, min(largest, math.floor(math.log2(limit / reach))))
    while exponent > 0 and reach * 2.0**exponent > limit:  # log2 rounds
        exponent -= 1
    return exponent


def glorot_bound(fan_in: int, fan_out: int, gain: float = 1.0) -> float:
    """Half-width of the Glorot uniform distribution, gain * sqrt(6 / (fan_in + fan_out))."""
    return gain * math.sqrt(6.0 / (fan_in + fan_out))
