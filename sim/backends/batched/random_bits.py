"""The random bits of `neuro.base.fixed_point` in torch, in 32-bit integers that wrap."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from neuro.base.arrays import Int32, UInt32
from neuro.base.fixed_point import GENERATOR_STREAM, stream_key


def mix32(x: Tensor) -> Tensor:
    """`neuro.base.fixed_point.mix32` of int32 tensors, whose products wrap, in place."""
    x ^= (x >> 16) & 0xFFFF
    x *= 0x7FEB352D
    x ^= (x >> 15) & 0x1FFFF
    x *= 0x846CA68B - (1 << 32)
    x ^= (x >> 16) & 0xFFFF
    return x


def signed32(values: UInt32) -> Int32:
    """The int32 with the same bits."""
    return np.ascontiguousarray(values).view(np.int32)


def random_bits(streams: Tensor, index: Tensor) -> Tensor:
    """`fixed_point.synapse_bits` of each weight of `index` under each key; int32, shapes broadcast."""
    return mix32(streams + index)


def spike_streams(keys: UInt32, window: int) -> Int32:
    """The keys, of images [B], under which an input draws its spikes at steps 1..window; of shape [B, window]."""
    steps = GENERATOR_STREAM + np.arange(1, 1 + window)
    return signed32(np.asarray(stream_key(keys[:, None], steps), dtype=np.uint32))
