"""Compiled kernels: spikes through shared kernels. See `sim.backends.events.maps` for how these lie in memory."""

from __future__ import annotations

import numpy as np

from neuro.base.arrays import Int16, Int32
from sim.backends.events.layout import Plan
from sim.backends.events.maps import CONVOLVED
from sim.backends.jit import called


@called
def convolve(
    plan: Plan, projection: int, a: Int32, wide: Int16, neuron: Int32, payload: Int32, count: int, scale: np.int32
) -> None:
    """Add `count` spikes to the input `a` of a target whose synapses are a kernel, or the transpose of one."""
    forward = plan.kind[projection] == CONVOLVED
    group = plan.channels[projection] if forward else plan.features[projection]
    step = np.int64(0) if forward else plan.wide_taps[projection]
    block, near = plan.wide_start[projection], plan.near[projection]
    for k in range(count):
        sent = np.int32(payload[k] * scale)
        at = near + neuron[k] // group
        within = np.int64(neuron[k] % group)
        for m in range(plan.near_start[at], plan.near_start[at + 1]):
            first, length = plan.near_target[m], plan.near_length[m]
            weight = block + plan.near_weight[m] + within * (plan.near_channel[m] + step)
            row, into = wide[weight : weight + length], a[first : first + length]
            for j in range(length):  # becomes vector instructions
                into[j] += np.int32(sent * np.int32(row[j]))
