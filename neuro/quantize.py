"""From real weights to integers with an exponent."""

from __future__ import annotations

import math

from neuro.fixed_point import WEIGHT_LIMIT


def exponent_for(reach: float, largest: int) -> int:
    """Return the largest exponent e <= `largest` at which a weight of size `reach` still fits 8 bits.

    Args:    reach, the real weight that must be representable (> 0); largest, a limit set by the shifts of the chip.
    Returns: e with reach <= 127 * 2**-e; the finest grid that does not saturate below `reach`.
    """
    return max(0, min(largest, math.floor(math.log2(WEIGHT_LIMIT / reach))))


def glorot_bound(fan_in: int, fan_out: int, gain: float = 1.0) -> float:
    """Half-width of the Glorot uniform distribution, gain * sqrt(6 / (fan_in + fan_out))."""
    return gain * math.sqrt(6.0 / (fan_in + fan_out))
