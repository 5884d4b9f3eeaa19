"""Memory in which kernels work: the state of an image in flight, what learning reads of it, and results."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neuro.base.arrays import Bools, Int16, Int32, Int64


class Scratch(NamedTuple):
    """State of one image in flight; one per thread."""

    a: Int32  # [N] accumulated input
    u: Int32  # [N] state
    s: Int32  # [N] s_hat, what the receivers know
    total: Int32  # [N] input plus the nudge
    narrow: Int16  # [N] a sum of few products
    neuron: Int32  # [N] who sent in the last step: local indices, per population from plan.start on
    payload: Int32  # [N] and what
    n_events: Int64  # [P]
    pull: Int32  # [N] of the output: the force that is held through the nudges


class Trace(NamedTuple):
    """What learning reads afterwards, for each image of a batch (slots)."""

    s_first: Int32  # [slots, N] s_hat at the end of the first nudge
    s_second: Int32  # [slots, N]
    u_first: Int32  # [slots, N]
    u_second: Int32  # [slots, N]
    active: Int32  # [slots, N] neurons of sources with a payload: local indices, per population from plan.start on
    n_active: Int64  # [slots, P]


class Outputs(NamedTuple):
    """Results of B images. Arrays of length 0 along B are not written."""

    predictions: Int32  # [B]
    output_states: Int32  # [B, K]
    settled: Bools  # [B]
    last_spike: Int32  # [B] last step of the free phase at which a neuron sent
    nudged: Int32  # [B, 2, K] the output at the end of each nudge that learns
    counts: Int64  # [B, P, 1 + phases]
    states: Int32  # [B or 0, phases, N]
    spikes: Int32  # [capacity, 5] rows of a SpikeTable


def make_scratch(n_neurons: int, n_populations: int) -> Scratch:
    """Zeroed scratch space."""
    a, u, s, total, neuron, payload, pull = (np.zeros(n_neurons, dtype=np.int32) for _ in range(7))
    narrow = np.zeros(n_neurons, dtype=np.int16)
    return Scratch(a, u, s, total, narrow, neuron, payload, np.zeros(n_populations, dtype=np.int64), pull)


def make_trace(slots: int, n_neurons: int, n_populations: int) -> Trace:
    """Space for the learning traces of `slots` images."""
    first, second, u_first, u_second, active = (np.zeros((slots, n_neurons), dtype=np.int32) for _ in range(5))
    return Trace(first, second, u_first, u_second, active, np.zeros((slots, n_populations), np.int64))
