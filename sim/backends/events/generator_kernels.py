"""Compiled kernels of an input that generates spikes: `neuro.spec.neurons.Generator`."""

from __future__ import annotations

import numpy as np

from neuro.base.arrays import Index, Int16
from neuro.base.fixed_point import CHANCE_BITS, GENERATOR_STREAM
from sim.backends.events.layout import Plan
from sim.backends.events.space import Scratch, Trace
from sim.backends.jit import inlined
from sim.backends.primitives import gather
from sim.backends.random_bits import stream_key, synapse_bits


@inlined
def generate(plan: Plan, chance: Int16, key: np.uint32, step: Index, scratch: Scratch) -> None:
    """Let every neuron of the input send a spike with its chance: see `neuro.spec.neurons.Generator`."""
    begin, end = plan.start[plan.input], plan.start[plan.input + 1]
    stream = stream_key(key, GENERATOR_STREAM + step)
    sent, total = scratch.payload[begin:end], scratch.s[begin:end]
    sent[:] = 0
    for j in range(chance.shape[0]):
        bits = np.int32(synapse_bits(stream, j) >> np.uint32(32 - CHANCE_BITS))
        spike = np.int32(bits < np.int32(chance[j]))
        sent[j] = spike
        total[j] += spike
    scratch.n_events[plan.input] = gather(scratch.neuron[begin:end], sent)


@inlined
def keep_generated(plan: Plan, scratch: Scratch, trace: Trace, slot: int) -> None:
    """List the neurons of the input that have sent a spike."""
    first, count = plan.start[plan.input], 0
    for j in range(plan.size[plan.input]):
        if scratch.s[first + j] != 0:
            trace.active[slot, first + count] = j
            count += 1
    trace.n_active[slot, plan.input] = count
