"""Compiled kernels of a learning engine whose tags belong to neurons; see `sim.backends.stock.structured`.

Sums and products are those of `sim.backends.stock.engine_kernels`, left out only where nothing can change.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neuro.base.arrays import Int16, Int32, Int64, Reals, UInt32
from sim.backends.jit import inlined
from sim.backends.random_bits import stream_key, synapse_bits
from sim.backends.stock.engine_kernels import (
    ACCUMULATOR_MAX,
    ACCUMULATOR_MIN,
    TAG_MAX,
    TAG_MIN,
    WEIGHT_STREAM,
    Constants,
    Terms,
    accumulate,
    common_factor,
    multiply,
    store,
)


class Side(NamedTuple):
    """The traces at one end of a projection, of N neurons.

    live[: length[0]]: those whose traces may not be empty; levels: their traces, in that order, written back into
    `traces` where all are read.
    """

    traces: Int32  # [1, 2, N]
    levels: Int32  # [2, N]
    live: Int32  # [N]
    place: Int32  # [N] in that list, -1 for those that are not in it
    length: Int64  # [1]
    impulse: Int64  # [2]
    whole: Int32  # [2, 128] what a trace decays to in a step, without its fraction
    limit: UInt32  # [2, 128] that fraction times 2**32, rounded up
    fraction: Reals  # [2, 128]
    first: int  # population's first neuron among those that move; -1: pixels


class Synapses(NamedTuple):
    """A plastic projection of N by M whose tags depend on one of its ends alone: tags of shape [N] or [M]."""

    constants: Constants
    for_tags: Terms  # as if the end that they depend on were the post one
    weights: Int16  # [N, M]
    tags: Int32
    by_post: bool
    every_row: bool  # whether a product does not read the traces of the pre end
    drives: bool  # whether these are the weights through which pixels act
    x: Side
    y: Side
    columns: Int32  # [products, M] space
    total: Int32  # [3, max(N, M)] space
    none: Int32  # [max(N, M)] zeros


@inlined
def write_back(side: Side) -> None:
    """Write the levels into the traces."""
    for trace in range(2):
        values, levels = side.traces[0, trace], side.levels[trace]
        for k in range(side.length[0]):
            values[side.live[k]] = levels[k]


@inlined
def tidy(side: Side) -> None:
    """Drop from the list whose traces are empty."""
    count = 0
    for k in range(side.length[0]):
        i = side.live[k]
        if side.levels[0, k] | side.levels[1, k]:
            side.live[count], side.levels[0, count], side.levels[1, count] = i, side.levels[0, k], side.levels[1, k]
            side.place[i] = count
            count += 1
        else:
            side.traces[0, 0, i], side.traces[0, 1, i], side.place[i] = 0, 0, -1
    side.length[0] = count


@inlined
def decay(side: Side, bits: UInt32, per_synapse: bool, key: np.uint32, rho: float) -> None:
    """One step of the traces of what is live, without its spikes."""
    count, size = side.length[0], side.place.shape[0]
    for trace in range(2):
        if side.impulse[trace] == 0 or count == 0:
            continue
        levels, whole = side.levels[trace], side.whole[trace]
        if per_synapse:
            first, limit = np.uint32((2 + trace) * size), side.limit[trace]
            for k in range(count):
                bits[k] = synapse_bits(key, np.uint32(first + np.uint32(side.live[k])))
            for k in range(count):
                levels[k] = np.int32(whole[levels[k]] + np.int32(bits[k] < limit[levels[k]]))
        else:
            for k in range(count):
                levels[k] = np.int32(whole[levels[k]] + np.int32(rho < side.fraction[trace, levels[k]]))


@inlined
def add_impulse(side: Side, i: int) -> None:
    """Neuron i spikes: it joins the list if it is not in it."""
    at = side.place[i]
    if at < 0:
        at = side.length[0]
        side.live[at], side.place[i], side.levels[0, at], side.levels[1, at] = i, at, 0, 0
        side.length[0] = at + 1
    for trace in range(2):
        side.levels[trace, at] = min(np.int32(side.levels[trace, at] + side.impulse[trace]), np.int32(127))


@inlined
def update_tags(own: Synapses) -> None:
    """Move the tags, one for each neuron of the end that they depend on; their sums are whole numbers."""
    terms, size = own.for_tags, own.tags.shape[0]
    if terms.mantissa.shape[0] == 0:
        return
    side = own.y if own.by_post else own.x
    total, part = own.total[0, :size], own.total[1, :size]
    for j in range(size):
        total[j] = np.int32(own.tags[j] << 7)
    accumulate(total, part, terms, 0, own.x.traces, side.traces, own.none, own.none, own.weights[0], own.tags, True)
    for j in range(size):
        own.tags[j] = min(max(np.int32(total[j] >> 7), np.int32(TAG_MIN)), np.int32(TAG_MAX))


@inlined
def _fill_columns(own: Synapses, tags: Int32) -> bool:
    """What the products take from tags and traces of the post end; returns whether it is not all zero."""
    terms, some = own.constants.for_weights, np.int32(0)
    for k in range(terms.mantissa.shape[0]):
        column = own.columns[k]
        column[:] = 1
        for f in range(terms.first[k], terms.first[k + 1]):
            if terms.variable[f] >= 2:
                multiply(
                    column, terms, f, terms.dependency[k], 0, own.x.traces, own.y.traces, own.none, own.none,
                    own.weights[0], tags,
                )  # fmt: skip
        for j in range(column.shape[0]):
            some |= column[j]
    return bool(some != 0)


@inlined
def update_weights(own: Synapses, key: np.uint32, r: float) -> bool:
    """Move the weights of live rows; returns whether any may have moved."""
    constants, terms, n_post = own.constants, own.constants.for_weights, own.weights.shape[1]
    total, tags = own.total[0, :n_post], own.total[1, :n_post]
    stream = stream_key(key, WEIGHT_STREAM)
    if own.by_post and not _fill_columns(own, own.tags):
        return False
    lowest, highest = np.int32(ACCUMULATOR_MIN), np.int32(ACCUMULATOR_MAX)
    moved, one_sign = False, constants.lowest == 0 or constants.highest == 0
    for at in range(own.weights.shape[0] if own.every_row else own.x.length[0]):
        i, some = at if own.every_row else own.x.live[at], own.every_row
        for k in range(terms.mantissa.shape[0]):
            some = some or common_factor(terms, k, i, own.x.traces, own.none) != 0
        if not some:
            continue
        if not own.by_post:
            tags[:] = own.tags[i]
            if not _fill_columns(own, tags):
                continue
        row, moved = own.weights[i], True
        for j in range(n_post):
            total[j] = np.int32(np.int32(row[j]) << 7)
        for k in range(terms.mantissa.shape[0]):
            common = common_factor(terms, k, i, own.x.traces, own.none)
            if common == 0:
                continue
            column, down, up = own.columns[k], np.int32(terms.down[k] & 31), np.int32(terms.up[k] & 31)
            for j in range(n_post):
                part = np.int32(np.int32(np.int32(common * column[j]) >> down) << up)
                total[j] = min(max(np.int32(total[j] + min(max(part, lowest), highest)), lowest), highest)
        store(total, row, np.int32(constants.lowest), np.int32(constants.highest), one_sign, constants.coarse,
              constants.per_synapse, stream, i * n_post, r)  # fmt: skip
    return moved
