"""Compiled kernels: spikes through shared kernels. See `sim.backends.maps` for how these lie in memory."""

from __future__ import annotations

import numpy as np

from sim.backends.jit import jit
from sim.backends.maps import CONVOLVED


@jit
def convolve(maps, projection, a, wide, neuron, payload, count, scale):
    """Add `count` spikes to the input `a` of a target whose synapses are a kernel, or the transpose of one."""
    forward = maps.kind[projection] == CONVOLVED
    group = maps.channels[projection] if forward else maps.features[projection]
    step = np.int64(0) if forward else maps.wide_taps[projection]
    block, near = maps.wide[projection], maps.near[projection]
    for k in range(count):
        sent = np.int32(payload[k] * scale)
        at = near + neuron[k] // group
        within = np.int64(neuron[k] % group)
        for m in range(maps.near_start[at], maps.near_start[at + 1]):
            first, length = maps.near_target[m], maps.near_length[m]
            weight = block + maps.near_weight[m] + within * (maps.near_channel[m] + step)
            row, into = wide[weight : weight + length], a[first : first + length]
            for j in range(length):  # becomes vector instructions
                into[j] += np.int32(sent * np.int32(row[j]))
