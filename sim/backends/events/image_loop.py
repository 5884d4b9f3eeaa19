"""The one compiled loop over images: simulate them, and let every synapse apply its rule, online or in batches.

Inference, on-line learning and each thread's part of learning in batches are spans of the same kernel, so that it is
compiled once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neuro.base.arrays import Int16, Int32, UInt32
from sim.backends.events.kernels import simulate
from sim.backends.events.layout import Plan
from sim.backends.events.space import Outputs, Scratch, Trace
from sim.backends.events.synapse_kernels import Synapses, Workspace
from sim.backends.events.update_kernels import commit
from sim.backends.jit import jit


class Images(NamedTuple):
    """What is shown."""

    payloads: Int16  # [B, N]
    targets: Int32  # [B, K]
    signs: Int32  # [B] of the first nudge
    keys: UInt32  # [B] of the random bits that round changes and draw the spikes of an input
    currents: Int32  # [B, N] of every neuron, padding included; [1, 0] if there are none


class Span(NamedTuple):
    """Which images, and what to do with them."""

    first: int
    last: int  # the one after the last
    last_step: int
    batch_size: int  # images that see the same weights, then update them in their order
    part: int  # this thread's share of every batch: of its images to simulate, of the synapses to update
    parts: int
    keeps_trace: bool  # what the learning rules read is kept
    simulates: bool
    commits: bool


@jit
def run_images(
    plan: Plan, synapses: Synapses, images: Images, span: Span, scratch: Scratch, out: Outputs, trace: Trace,
    work: Workspace,
) -> int:  # fmt: skip
    """Run a span of images; returns the length of the spike table. The result does not depend on the parts."""
    n_spikes = int(np.int64(0))  # the literal 0 would compile everything twice, once for it
    for start in range(span.first, span.last, span.batch_size):
        count = min(span.batch_size, span.last - start)
        if span.simulates:
            for slot in range(count * span.part // span.parts, count * (span.part + 1) // span.parts):
                image = start + slot
                current = images.currents[min(image, images.currents.shape[0] - 1)]
                n_spikes = simulate(
                    plan, synapses, images.payloads[image], images.targets[image], current, images.signs[image],
                    images.keys[image], span.last_step, scratch, image, out, trace, slot, span.keeps_trace, n_spikes,
                )  # fmt: skip
        if span.commits:
            for slot in range(count):
                image = start + slot
                commit(
                    plan, synapses, trace, slot, images.signs[image], images.keys[image], span.part, span.parts, work
                )
    return n_spikes
