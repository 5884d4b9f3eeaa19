"""Compiled kernels: a shared kernel learns. Its change is the exact sum of the changes of all synapses that share it.

Sums are taken over the widened kernel (`sim.backends.events.maps`) in two orders, whichever makes runs of memory:
`work.wide` backward, for spikes of post neurons, `work.wide_forward` for those of pre neurons. `commit_kernel` adds the
two, sums over the pooling window, rounds once per weight and saturates; few of the int8 weights change, and what they
change by is added to the widened kernel.
"""

from __future__ import annotations

import numpy as np

from neuro.base.arrays import Index, Int32, UInt32
from sim.backends.events.layout import Plan
from sim.backends.events.space import Trace
from sim.backends.events.synapse_kernels import Synapses, Workspace, make_target, move_weight, rounded_step
from sim.backends.jit import called, inlined


@inlined
def add_window(plan: Plan, projection: int, x: Int32, neuron: Index, y: np.int32, wide: Int32) -> None:
    """Add y * x over the window of a post neuron to the sums of its feature, backward order."""
    features = plan.features[projection]
    at = plan.near_back[projection] + neuron // features
    base = np.int64(neuron % features) * plan.wide_taps[projection]
    for m in range(plan.near_start[at], plan.near_start[at + 1]):
        first, length, weight = plan.near_target[m], plan.near_length[m], base + plan.near_weight[m]
        pixels, sums = x[first : first + length], wide[weight : weight + length]
        for j in range(length):  # becomes vector instructions
            sums[j] += np.int32(y * pixels[j])


@inlined
def add_positions(
    plan: Plan, projection: int, y: Int32, neuron: Index, x: np.int32, first_feature: int, last_feature: int,
    wide: Int32,
) -> None:  # fmt: skip
    """Add x * y over the positions that read a pre neuron to the sums of its tap there, forward order."""
    features, channels = plan.features[projection], plan.channels[projection]
    at, channel = plan.near[projection] + neuron // channels, np.int64(neuron % channels)
    whole = last_feature - first_feature == features
    for m in range(plan.near_start[at], plan.near_start[at + 1]):
        first, weight = plan.near_target[m], plan.near_weight[m] + channel * plan.near_channel[m]
        n_slices = 1 if whole else plan.near_length[m] // features
        length = plan.near_length[m] if whole else last_feature - first_feature
        for k in range(n_slices):
            skip = k * features + first_feature
            posts, sums = y[first + skip : first + skip + length], wide[weight + skip : weight + skip + length]
            for j in range(length):  # becomes vector instructions
                sums[j] += np.int32(x * posts[j])


@called
def add_moved(
    plan: Plan, projection: int, x: Int32, pre: int, first_feature: int, last_feature: int, count: int, work: Workspace
) -> None:
    """Any rule, pre neurons constant: add x_i * (what post neuron j moved by) for the `count` neurons in `work`."""
    for k in range(count):
        j = np.int64(work.moved[k])
        if first_feature <= j % plan.features[projection] < last_feature:
            add_window(plan, projection, x[pre:], j, work.value[k], work.wide)


@called
def add_moves(
    plan: Plan, projection: int, trace: Trace, slot: int, source: int, target: int, first_feature: int,
    last_feature: int, work: Workspace,
) -> int:  # fmt: skip
    """Any rule, both populations move: add x1 y1 - x2 y2 = (x1 - x2) y1 + x2 (y1 - y2); returns how many moved."""
    pre, post, features, n_added = plan.start[source], plan.start[target], plan.features[projection], 0
    x, y = trace.s_second[slot, pre:], trace.s_first[slot, post:]
    for j in range(plan.size[target]):
        value = np.int32(trace.s_first[slot, post + j] - trace.s_second[slot, post + j])
        if value != 0 and first_feature <= j % features < last_feature:
            add_window(plan, projection, x, j, value, work.wide)
            n_added += 1
    for i in range(plan.size[source]):
        value = np.int32(trace.s_first[slot, pre + i] - trace.s_second[slot, pre + i])
        if value != 0:
            add_positions(plan, projection, y, i, value, first_feature, last_feature, work.wide_forward)
            n_added += 1
    return n_added


@inlined
def fold_orders(plan: Plan, projection: int, first_feature: int, last_feature: int, work: Workspace) -> None:
    """Add the sums in backward order to those in forward order, and clear them."""
    taps, features, rows = plan.wide_taps[projection], plan.features[projection], plan.wide_row_start[projection]
    for tap in range(taps):
        at = plan.wide_row[rows + tap] * features
        for f in range(first_feature, last_feature):
            work.wide_forward[at + f] += work.wide[f * taps + tap]
            work.wide[f * taps + tap] = 0


@inlined
def sum_window(
    plan: Plan, projection: int, line: int, column: int, channel: int, first_feature: int, last_feature: int,
    sums: Int32, into: Int32,
) -> None:  # fmt: skip
    """Write the sums of one tap of the small kernel: those of all wide taps that it is part of."""
    features, channels, rows = plan.features[projection], plan.channels[projection], plan.wide_row_start[projection]
    pool_columns = plan.pool_columns[projection]
    stride_lines, stride_columns = plan.stride_lines[projection], plan.stride_columns[projection]
    apart_lines, apart_columns = plan.apart_lines[projection], plan.apart_columns[projection]
    wide_columns = (plan.columns[projection] - 1) * apart_columns + 1 + (pool_columns - 1) * stride_columns
    into[first_feature:last_feature] = 0
    for d in range(plan.pool_lines[projection]):
        for e in range(pool_columns):
            wide_line, wide_column = line * apart_lines + d * stride_lines, column * apart_columns + e * stride_columns
            tap = (wide_line * wide_columns + wide_column) * channels + channel
            at = plan.wide_row[rows + tap] * features
            row = sums[at : at + features]
            for f in range(first_feature, last_feature):
                into[f] += row[f]


@inlined
def spread(
    plan: Plan, learner: int, projection: int, weights: Synapses, line: int, column: int, channel: int,
    first_feature: int, last_feature: int, moved: Int32, listed: UInt32, n_listed: int,
) -> None:  # fmt: skip
    """Add what one tap of the small kernel changed by, per feature, to every wide tap that it is part of.

    The `n_listed` features that changed at all are listed: backward order is written for these only.
    """
    features, channels, rows = plan.features[projection], plan.channels[projection], plan.wide_row_start[projection]
    stride_lines, stride_columns = plan.stride_lines[projection], plan.stride_columns[projection]
    pool_columns = plan.pool_columns[projection]
    apart_lines, apart_columns = plan.apart_lines[projection], plan.apart_columns[projection]
    wide_columns = (plan.columns[projection] - 1) * apart_columns + 1 + (pool_columns - 1) * stride_columns
    taps = plan.wide_taps[projection]
    for d in range(plan.pool_lines[projection]):
        for e in range(pool_columns):
            wide_line, wide_column = line * apart_lines + d * stride_lines, column * apart_columns + e * stride_columns
            tap = (wide_line * wide_columns + wide_column) * channels + channel
            at = plan.wide_start[projection] + plan.wide_row[rows + tap] * features
            row = weights.wide[at : at + features]
            for f in range(first_feature, last_feature):  # becomes vector instructions
                row[f] += np.int16(moved[f])
            for k in range(plan.mirror_start[learner], plan.mirror_start[learner + 1]):
                mirrored = plan.wide_start[plan.mirror[k]] + tap
                for m in range(n_listed):
                    feature = np.int64(listed[m])
                    weights.wide[mirrored + feature * taps] += np.int16(moved[feature])


@called
def commit_kernel(
    plan: Plan, learner: int, synapses: Synapses, sign: np.int32, stream: np.uint32, first_feature: int,
    last_feature: int, added: bool, work: Workspace,
) -> None:  # fmt: skip
    """Apply and clear the sums of one image for features first_feature..last_feature - 1."""
    if not added:
        return
    projection = plan.plastic[learner]
    to = make_target(plan, synapses, learner, stream)
    features, channels, steps, moved = plan.features[projection], plan.channels[projection], work.step, work.listed
    limit, shadow = np.int32(to.limit), to.shadow
    fold_orders(plan, projection, first_feature, last_feature, work)
    for tap in range(plan.lines[projection] * plan.columns[projection] * channels):
        place = tap // channels
        line, column = place // plan.columns[projection], place % plan.columns[projection]
        sum_window(
            plan, projection, line, column, tap % channels, first_feature, last_feature, work.wide_forward, steps
        )  # fmt: skip
        first = tap * features
        small = synapses.dense[to.block + first : to.block + first + features]
        full = synapses.full[to.full_start + first : to.full_start + first + features]
        for f in range(first_feature, last_feature):  # becomes vector instructions
            steps[f] = rounded_step(to, first + f, np.int32(sign * steps[f]))
        for f in range(first_feature, last_feature):
            before = np.int32(small[f])
            moved[f] = np.int32(move_weight(small, full, f, f, steps[f], limit, shadow)) - before
        n_listed = 0
        for f in range(first_feature, last_feature):  # no branch: few change, unpredictably
            work.sent[n_listed] = f
            n_listed += moved[f] != 0
        if n_listed > 0:
            spread(
                plan, learner, projection, synapses, line, column, tap % channels, first_feature, last_feature,
                moved, work.sent, n_listed,
            )  # fmt: skip
    for tap in range(plan.wide_taps[projection]):
        work.wide_forward[tap * features + first_feature : tap * features + last_feature] = 0
