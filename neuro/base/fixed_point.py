"""Integer arithmetic of the chip: scales, shifts, rounding, saturation and counter-based random numbers.

Every backend computes with these rules, so that two backends agree to the last integer. The scalar rules
(`round_shift`, `stochastic_shift`, `saturate`, `mix32`, ...) are plain operator arithmetic: they work on Python
integers, on numpy arrays, and are compiled as they stand by the numba kernels of `sim.backends`.

Number formats: an integer `q` with exponent `e` stands for the real number `q * 2**-e`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neuro.base.arrays import Int64, UInt32

INT32_MAX = 2**31 - 1
WEIGHT_BITS = 8


def weight_limit(bits: int) -> int:
    """The largest |weight| of `bits` bits; the range is symmetric, so that a sign flip cannot overflow."""
    return (1 << (bits - 1)) - 1


def saturate(x: Any, lower: Any, upper: Any) -> Any:
    """Clip integers to `lower..upper` (numpy or scalar), as a saturating register does."""
    return np.minimum(np.maximum(x, lower), upper)


def round_shift(x: Any, shift: Any) -> Any:
    """Divide by 2**shift, rounding to nearest (ties up): floor(x / 2**shift + 1/2).

    `>>` alone rounds towards minus infinity; in a sigma-delta sender that bias destroys the gradient.
    """
    return (x + ((1 << shift) >> 1)) >> shift


def shrink(x: Any, threshold: Any, hard: Any) -> Any:
    """Soft threshold sign(x) max(|x| - threshold, 0); with `hard` = 1 the hard one, x where |x| > threshold, else 0."""
    beyond = x - saturate(x, -threshold, threshold)
    return beyond + np.sign(beyond) * (threshold * hard)


def stochastic_shift(x: Any, shift: Any, random_bits: Any) -> Any:
    """Divide by 2**shift with stochastic rounding: floor(x / 2**shift + U), U uniform on [0, 1).

    `random_bits` is an unsigned 32-bit integer; its low `shift` bits are U in units of 2**-shift.
    Unbiased: the expectation over `random_bits` is exactly x / 2**shift.
    """
    return (x + (random_bits & ((1 << shift) - 1))) >> shift


def mix32(x: Any) -> Any:
    """Scramble 32-bit integers into uniform ones (a bijection on 0..2**32-1). Arrays of uint32 in numpy.

    Source: the two-round multiply-xorshift finaliser "lowbias32" (C. Wellons, hash-prospector, public domain).
    """
    x = x ^ (x >> np.uint32(16))
    x = np.uint32(x * np.uint32(0x7FEB352D))
    x = x ^ (x >> np.uint32(15))
    x = np.uint32(x * np.uint32(0x846CA68B))
    return x ^ (x >> np.uint32(16))


def image_key(seed: int, presentation: int) -> int:
    """The 32-bit random key of one image presentation: a pure function of the two arguments.

    Args:    seed, presentation (how many images were presented before this one in the whole training).
    Returns: key in 0..2**32-1. Randomness of a synapse is
             `synapse_bits(stream_key(key, projection), i * N_target + j)`, projection its index in the spec.
    """
    return int(image_keys(seed, presentation, 1)[0])


def image_keys(seed: int, first: int, count: int) -> UInt32:
    """The keys `image_key(seed, first + i)` for i in 0..count-1, of shape [count]."""
    index = np.uint64(first) + np.arange(count, dtype=np.uint64)
    low = (index & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    high = (index >> np.uint64(32)).astype(np.uint32)
    seeds = np.array([seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF], dtype=np.uint32)
    salt = mix32(mix32(seeds[:1]) + seeds[1:])
    keys: UInt32 = mix32(mix32(low ^ salt) ^ (high + np.uint32(0x9E3779B9)))
    return keys


def stream_key(key: Any, stream: Any) -> Any:
    """An independent key for one stream (a projection, the nudge sign) of an image key."""
    return mix32(np.uint32(key + np.uint32((stream * 0x9E3779B9) & 0xFFFFFFFF)))


def synapse_bits(stream: Any, index: Any) -> Any:
    """The 32 random bits of synapse `index` under the key `stream` (see `stream_key`)."""
    return mix32(np.uint32(stream + np.uint32(index)))


GENERATOR_STREAM = 1 << 16  # from here on streams of an image key draw the spikes of an input, one stream a step
CHANCE_BITS = 15  # of the chance of such a spike
NUDGE_STREAM = 0xFFFF  # the stream of an image key that draws the sign of its first nudge


def nudge_sign(key: Any) -> Any:
    """The sign +1 or -1, as a number or array of int32, of the nudge of this image that comes first."""
    return np.int32(1) - np.int32(2) * np.int32(stream_key(key, NUDGE_STREAM) & np.uint32(1))


def quantize(values: npt.ArrayLike, exponent: int, lower: int, upper: int) -> Int64:
    """Round-to-nearest integers of `values * 2**exponent`, saturated to `lower..upper`.

    Raises: ValueError if a value is NaN or infinite.
    """
    scaled = np.asarray(values, dtype=np.float64) * 2.0**exponent
    if not np.all(np.isfinite(scaled)):
        raise ValueError("quantize: values hold NaN or infinity; remove them before making integers")
    integers: Int64 = np.clip(np.floor(scaled + 0.5), lower, upper).astype(np.int64)
    return integers
