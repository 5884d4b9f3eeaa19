"""Compiled kernels: every synapse of one image applies its local rule.

Rows (pre neurons) are independent, so threads can share the work of one image without changing the result.
"""

from __future__ import annotations

import numpy as np

from neuro.base.arrays import Int32
from sim.backends.events.layout import RULE_CODES, STATE_DIFFERENCE, Plan
from sim.backends.events.map_update_kernels import add_moved, add_moves, commit_kernel
from sim.backends.events.maps import DENSE
from sim.backends.events.space import Trace
from sim.backends.events.synapse_kernels import (
    DELTA_GAP,
    Synapses,
    Target,
    Workspace,
    make_target,
    move_and_mirror,
    move_weight,
    rounded_step,
)
from sim.backends.jit import inlined
from sim.backends.primitives import LANES, gather
from sim.backends.random_bits import stream_key

N_RULES = len(RULE_CODES)


@inlined
def list_moved(plan: Plan, trace: Trace, slot: int, population: int, rule: int, work: Workspace) -> int:
    """List the neurons of `population` that moved in the second nudge, and by how much (first minus second end).

    Returns how many moved.
    """
    begin, size, count = plan.start[population], plan.size[population], 0
    for j in range(size):
        if rule == STATE_DIFFERENCE:
            difference = np.int32(trace.u_first[slot, begin + j] - trace.u_second[slot, begin + j])
        else:
            difference = np.int32(trace.s_first[slot, begin + j] - trace.s_second[slot, begin + j])
        if difference != 0:
            work.moved[count] = j
            work.value[count] = difference
            count += 1
    return count


@inlined
def commit_static(
    plan: Plan, learner: int, synapses: Synapses, trace: Trace, slot: int, sign: np.int32, stream: np.uint32,
    row_first: int, row_last: int, count: int, work: Workspace,
) -> None:  # fmt: skip
    """Any rule, pre neuron constant during the nudges: dW_ij = sign * x_i * (what post neuron j moved by).

    The `count` post neurons that moved are listed in `work` (see `list_moved`).
    """
    source = plan.source[plan.plastic[learner]]
    pre = plan.start[source]
    to = make_target(plan, synapses, learner, stream)
    steps, moved, value = work.step, work.moved, work.value
    limit, shadow = np.int32(to.limit), to.shadow
    for a in range(trace.n_active[slot, source] if count > 0 else 0):
        i = np.int64(trace.active[slot, pre + a])
        if i < row_first or i >= row_last:
            continue
        x = np.int32(sign * trace.s_first[slot, pre + i])
        first = i * to.stride
        weights = synapses.dense[to.block + first : to.block + first + to.n_post]
        full = synapses.full[to.full_start + first : to.full_start + first + to.n_post]
        for k in range(count):  # becomes vector instructions
            steps[k] = rounded_step(to, i * to.n_post + moved[k], np.int32(x * value[k]))
        for k in range(count):  # no branch: many steps are zero, unpredictably
            move_weight(weights, full, moved[k], moved[k], steps[k], limit, shadow)


@inlined
def sum_moves(
    plan: Plan, trace: Trace, slot: int, source: int, target: int, row_first: int, row_last: int, work: Workspace
) -> tuple[int, int]:
    """Add x1 y1 - x2 y2 = (x1 - x2) y1 + x2 (y1 - y2) to work.delta, for pre neurons row_first..row_last-1.

    What neurons moved by is sparse, and the products need nothing else: it is the sum of the event rule over all spikes
    of the second nudge, and that of the end-point rule. delta holds, per post neuron, an entry for each of these pre
    neurons and a gap of DELTA_GAP. Lists who moved: post neurons in work.moved, pre neurons in work.sent. Returns how
    many.
    """
    pre, post, n_post = plan.start[source], plan.start[target], plan.size[target]
    size = row_last - row_first
    stride, n_moved, n_sent, delta = size + DELTA_GAP, 0, 0, work.delta
    for j in range(n_post):
        value = np.int32(trace.s_first[slot, post + j] - trace.s_second[slot, post + j])
        if value != 0:
            work.moved[n_moved] = j
            n_moved += 1
            column, mine = delta[j * stride : j * stride + size], trace.s_second[slot, pre + row_first : pre + row_last]
            for r in range(size):
                column[r] += np.int32(mine[r] * value)
    for i in range(row_first, row_last):
        value = np.int32(trace.s_first[slot, pre + i] - trace.s_second[slot, pre + i])
        if value != 0:
            work.sent[n_sent] = i
            n_sent += 1
            for j in range(n_post):
                delta[j * stride + i - row_first] += np.int32(value * trace.s_first[slot, post + j])
    return n_moved, n_sent


@inlined
def commit_column(
    plan: Plan, synapses: Synapses, to: Target, column: np.int64, sign: np.int32, row_first: int, row_last: int,
    delta: Int32, work: Workspace,
) -> None:  # fmt: skip
    """Apply and clear `delta`, of shape [row_last - row_first], of one post neuron."""
    size = row_last - row_first
    padded = (size + LANES - 1) // LANES * LANES
    steps = work.step[:padded]
    for i in range(size):  # becomes vector instructions
        steps[i] = rounded_step(to, (row_first + i) * to.n_post + column, np.int32(sign * delta[i]))
        delta[i] = 0
    steps[size:] = 0
    for k in range(gather(work.listed, steps)):
        move_and_mirror(plan, synapses, to, row_first + work.listed[k], column, steps[k])


@inlined
def commit_moves(
    plan: Plan, learner: int, synapses: Synapses, trace: Trace, slot: int, sign: np.int32, stream: np.uint32,
    row_first: int, row_last: int, work: Workspace,
) -> None:  # fmt: skip
    """Any rule between two populations that both move during the nudges."""
    projection = plan.plastic[learner]
    to = make_target(plan, synapses, learner, stream)
    source, target = plan.source[projection], plan.target[projection]
    n_moved, n_sent = sum_moves(plan, trace, slot, source, target, row_first, row_last, work)
    delta, size = work.delta, row_last - row_first
    stride = size + DELTA_GAP
    for k in range(n_moved):
        column = np.int64(work.moved[k])
        part = delta[column * stride : column * stride + size]
        commit_column(plan, synapses, to, column, sign, row_first, row_last, part, work)
    for k in range(n_sent):
        i = np.int64(work.sent[k])
        for j in range(to.n_post):
            at = j * stride + i - row_first
            change = np.int32(sign * delta[at])
            if change != 0:
                delta[at] = 0
                step = rounded_step(to, i * to.n_post + j, change)
                if step != 0:
                    move_and_mirror(plan, synapses, to, i, j, step)


@inlined
def commit(
    plan: Plan, synapses: Synapses, trace: Trace, slot: int, sign: np.int32, key: np.uint32, part: int, parts: int,
    work: Workspace,
) -> None:  # fmt: skip
    """Apply every rule for one image to the `part`-th of `parts` equal ranges of each projection's rows.

    The ranges of a shared kernel are features, not rows: its rows are summed over positions.
    """
    listed, count = np.int64(-1), 0
    for k in range(plan.plastic.shape[0]):
        learner = plan.commit_order[k]
        projection, rule = plan.plastic[learner], plan.rule[learner]
        source, target = plan.source[projection], plan.target[projection]
        shared = plan.kind[projection] != DENSE
        rows = plan.features[projection] if shared else plan.size[source]
        first, last = rows * part // parts, rows * (part + 1) // parts
        stream = stream_key(key, projection)
        if plan.static[source]:
            if listed != target * N_RULES + rule:  # projections that share target and rule share the list
                listed, count = target * N_RULES + rule, list_moved(plan, trace, slot, target, rule, work)
            if shared:
                add_moved(plan, projection, trace.s_first[slot], plan.start[source], first, last, count, work)
                commit_kernel(plan, learner, synapses, sign, stream, first, last, count > 0, work)
                continue
            commit_static(plan, learner, synapses, trace, slot, sign, stream, first, last, count, work)
            continue
        listed = np.int64(-1)
        if shared:
            added = add_moves(plan, projection, trace, slot, source, target, first, last, work)
            commit_kernel(plan, learner, synapses, sign, stream, first, last, added > 0, work)
        else:
            commit_moves(plan, learner, synapses, trace, slot, sign, stream, first, last, work)
