"""Integer arithmetic of `neuro.base.fixed_point` and of the sigma-delta unit, as Triton functions that are inlined."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def mix32(x):
    """`fixed_point.mix32` of uint32."""
    x = x ^ (x >> 16)
    x = x * 0x7FEB352D
    x = x ^ (x >> 15)
    x = x * 0x846CA68B
    return x ^ (x >> 16)


@triton.jit
def stream_key(key, STREAM: tl.constexpr):
    """`fixed_point.stream_key` of int32 keys, as uint32."""
    return mix32(key.to(tl.uint32, bitcast=True) + ((STREAM * 0x9E3779B9) & 0xFFFFFFFF))


@triton.jit
def clip(x, lower, upper):
    """The saturated x."""
    return tl.minimum(tl.maximum(x, lower), upper)


@triton.jit
def moved(u, total, LOWER: tl.constexpr, UPPER: tl.constexpr, MULTIPLIER: tl.constexpr, SHIFT: tl.constexpr):
    """The u one step on, int32."""
    return clip(u + (((total - u) * MULTIPLIER) >> SHIFT), LOWER, UPPER)


@triton.jit
def activation(u, THRESHOLD: tl.constexpr, HARD: tl.constexpr, SEND_SHIFT: tl.constexpr):
    """What a unit in state u tells its receivers, int32, in payload units."""
    if THRESHOLD > 0:
        beyond = u - clip(u, -THRESHOLD, THRESHOLD)
        if HARD:
            beyond += tl.where(beyond > 0, THRESHOLD, 0) - tl.where(beyond < 0, THRESHOLD, 0)
        u = beyond
    return (u + ((1 << SEND_SHIFT) >> 1)) >> SEND_SHIFT


@triton.jit
def _narrow_product(a, b, total, B_WIDE: tl.constexpr):
    if B_WIDE:
        high = (b + 128) >> 8
        total += tl.dot(a, high.to(tl.int8), out_dtype=tl.int32) << 8
        return tl.dot(a, (b - (high << 8)).to(tl.int8), total, out_dtype=tl.int32)
    else:
        return tl.dot(a, b, total, out_dtype=tl.int32)


@triton.jit
def product(a, b, total, A_WIDE: tl.constexpr, B_WIDE: tl.constexpr):
    """Integers total + a @ b; a, b int8, or int16 in two halves: x = 256 high + low, both in -128..127."""
    if A_WIDE:
        high = (a + 128) >> 8
        total += _narrow_product(high.to(tl.int8), b, tl.zeros_like(total), B_WIDE) << 8
        return _narrow_product((a - (high << 8)).to(tl.int8), b, total, B_WIDE)
    else:
        return _narrow_product(a, b, total, B_WIDE)
