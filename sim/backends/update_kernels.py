"""Compiled kernels: apply the local rules of one image, then round stochastically.

Per synapse the change dW of one image is a whole number; it is rounded once, with random bits that depend only on
seed, presentation, projection and synapse. Rows (pre neurons) are independent, so threads can share the work of one
image without changing the result.
"""

from __future__ import annotations

import types
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neuro import fixed_point
from sim.backends.jit import inlined
from sim.backends.plan import LANES, Plan
from sim.backends.primitives import copy, gather, shifted

END_POINT, EVENT, STATE_DIFFERENCE = 0, 1, 2
N_RULES = 3
DELTA_GAP = 16  # keeps the rows of delta from falling onto the same cache sets


class Workspace(NamedTuple):
    """Space for the commit of one image; every thread needs its own."""

    x: npt.NDArray[np.int32]  # [N] running trace of the pre population
    y: npt.NDArray[np.int32]  # [N] sums over the spikes of the post population, zero between images
    y_trace: npt.NDArray[np.int32]  # [N] running trace of the post population
    moved: npt.NDArray[np.uint32]  # [N] post neurons that moved
    value: npt.NDArray[np.int32]  # [N] and by how much
    sent: npt.NDArray[np.uint32]  # [N] pre neurons that sent
    seen: npt.NDArray[np.bool_]  # [N] whether they are listed
    listed: npt.NDArray[np.int32]  # [N] synapses of a column that change
    step: npt.NDArray[np.int32]  # [N] rounded changes of one row or column
    delta: npt.NDArray[np.int32]  # [largest share of a block] sums of the event rule, zero between projections


class Synapses(NamedTuple):
    """The weights that learn and the rates they learn with."""

    weights: npt.NDArray[np.int8]  # every block of the plan
    full: npt.NDArray[np.int16]  # plastic blocks with shadow bits; those without any are not kept up to date
    mantissa: npt.NDArray[np.int64]  # [L]
    exponent: npt.NDArray[np.int64]  # [L]


def make_workspace(plan: Plan, threads: int) -> Workspace:
    """Return zeroed space for one of `threads` threads that share the rows of every projection."""
    n_neurons = int(plan.start[-1])
    rows = -(-plan.size[plan.source] // threads) + DELTA_GAP
    delta = np.zeros(int((rows * plan.size[plan.target]).max()), dtype=np.int32)
    x, y, y_trace, value, listed, step = (np.zeros(n_neurons, dtype=np.int32) for _ in range(6))
    moved, sent = np.zeros(n_neurons, dtype=np.uint32), np.zeros(n_neurons, dtype=np.uint32)
    return Workspace(x, y, y_trace, moved, value, sent, np.zeros(n_neurons, dtype=np.bool_), listed, step, delta)


def _compile(function, **needs):  # type: ignore[no-untyped-def]
    """Compile a rule of `neuro.fixed_point` as it stands; `needs` are its helpers, compiled before."""
    return inlined(types.FunctionType(function.__code__, {**function.__globals__, **needs}, function.__name__))


mix32 = _compile(fixed_point.mix32)
stream_key = _compile(fixed_point.stream_key, mix32=mix32)
synapse_bits = _compile(fixed_point.synapse_bits, mix32=mix32)
round_shift = _compile(fixed_point.round_shift)


class Target(NamedTuple):
    """Where the changes of one projection go, as plain numbers that stay in registers."""

    n_pre: int
    n_post: int
    stride: int  # weights per row
    block: int  # first weight
    full_start: int  # first full-resolution weight
    mirror_start: int  # range of plan.mirror
    mirror_end: int
    gain: np.int32  # rate = gain * 2**-down in units of the last shadow bit
    down: np.int32
    mask: np.uint32  # the random bits below 2**down
    shadow: int
    limit: int
    stream: np.uint32


@inlined
def make_target(plan, synapses, learner, stream):
    """Return the Target of plastic projection `learner` for one image."""
    projection, shadow = plan.plastic[learner], plan.shadow[learner]
    source, target = plan.source[projection], plan.target[projection]
    down = max(synapses.exponent[learner] - shadow, 0)
    gain = synapses.mantissa[learner] << max(shadow - synapses.exponent[learner], 0)
    return Target(
        plan.size[source], plan.size[target], plan.stride[projection],
        plan.block[projection], plan.full_start[learner], plan.mirror_start[learner], plan.mirror_start[learner + 1],
        np.int32(gain), np.int32(down), np.uint32((1 << down) - 1), shadow, plan.limit[learner] << shadow, stream,
    )  # fmt: skip


@inlined
def rounded_step(to, index, change):
    """Return rate * change in units of the last shadow bit, rounded stochastically for synapse `index`.

    `fixed_point.stochastic_shift` in 32 bits; `events.check_rates` makes sure that nothing overflows.
    """
    bits = np.int32(synapse_bits(to.stream, index) & to.mask)
    return shifted(np.int32(np.int32(change * to.gain) + bits), to.down)


@inlined
def move_weight(weights, full, at, full_at, step, limit, shadow):
    """W += step at one synapse, saturated; without shadow bits `full` is not used. Returns the new int8 weight."""
    if shadow == 0:
        moved = min(max(np.int32(weights[at] + step), -limit), limit)
    else:
        moved = min(max(np.int32(full[full_at] + step), -limit), limit)
        full[full_at] = moved
        moved = round_shift(moved, shadow)
    weights[at] = moved
    return np.int8(moved)


@inlined
def move_and_mirror(plan, synapses, to, row, column, step):
    """W += step at one synapse, and at the same synapse of every transpose."""
    at = row * to.stride + column
    rounded = move_weight(
        synapses.weights, synapses.full, to.block + at, to.full_start + at, step, to.limit, to.shadow
    )  # fmt: skip
    for k in range(to.mirror_start, to.mirror_end):
        mirror = plan.mirror[k]
        synapses.weights[plan.block[mirror] + column * plan.stride[mirror] + row] = rounded


@inlined
def list_moved(plan, trace, slot, population, rule, work):
    """List the neurons of `population` that moved in the second nudge, and by how much (first minus second end).

    The event rule sums the payloads it saw; the others subtract the two ends. Returns how many moved.
    """
    begin, size, count = plan.start[population], plan.size[population], 0
    if rule == EVENT:
        n_listed, sums = 0, work.y  # sums are zero between calls
        for k in range(trace.step_end[slot, -1]):
            j = trace.neuron[slot, k] - begin
            if 0 <= j < size:
                if sums[j] == 0:  # perhaps again, after a return to zero: the second visit below finds 0
                    work.listed[n_listed] = j
                    n_listed += 1
                sums[j] -= trace.payload[slot, k]
        for k in range(n_listed):
            j = work.listed[k]
            if sums[j] != 0:
                work.moved[count] = j
                work.value[count] = sums[j]
                count += 1
                sums[j] = 0
        return count
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
def commit_static(plan, learner, synapses, trace, slot, sign, stream, row_first, row_last, count, work):
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
        weights = synapses.weights[to.block + first : to.block + first + to.n_post]
        full = synapses.full[to.full_start + first : to.full_start + first + to.n_post]
        for k in range(count):  # becomes vector instructions
            steps[k] = rounded_step(to, i * to.n_post + moved[k], np.int32(x * value[k]))
        for k in range(count):  # no branch: many steps are zero, unpredictably
            move_weight(weights, full, moved[k], moved[k], steps[k], limit, shadow)


@inlined
def sum_events(plan, trace, slot, source, target, row_first, row_last, work):  # noqa: C901  # one pass over spikes
    """Add -(x1 y0 + x0 y1) over the spikes of the second nudge to work.delta, for pre neurons row_first..row_last-1.

    x1 is read after, y1 before, this step's spikes are added. delta holds, per post neuron, an entry for each of these
    pre neurons and a gap of DELTA_GAP. Lists who sent, each neuron once: post neurons in work.moved, pre neurons in
    work.sent. Returns how many.
    """
    pre, post = plan.start[source], plan.start[target]
    n_pre, n_post = plan.size[source], plan.size[target]
    size = row_last - row_first
    stride, n_moved, n_sent = size + DELTA_GAP, 0, 0
    delta, x, y = work.delta, work.x, work.y_trace
    copy(trace.s_first[slot, pre : pre + n_pre], x)
    copy(trace.s_first[slot, post : post + n_post], y)
    work.seen[:n_pre] = False
    work.value[:n_post] = 0
    for step in range(trace.step_end.shape[1] - 1):
        begin, end = trace.step_end[slot, step], trace.step_end[slot, step + 1]
        for k in range(begin, end):
            i = trace.neuron[slot, k] - pre
            if 0 <= i < n_pre:
                x[i] += trace.payload[slot, k]
                if row_first <= i < row_last and not work.seen[i]:
                    work.seen[i] = True
                    work.sent[n_sent] = i
                    n_sent += 1
        for k in range(begin, end):
            i, j, payload = trace.neuron[slot, k] - pre, trace.neuron[slot, k] - post, trace.payload[slot, k]
            if 0 <= j < n_post:
                if work.value[j] == 0:
                    work.value[j] = 1
                    work.moved[n_moved] = j
                    n_moved += 1
                column, mine = delta[j * stride : j * stride + size], x[row_first:row_last]
                for r in range(size):
                    column[r] -= np.int32(mine[r] * payload)
            if row_first <= i < row_last:
                for c in range(n_post):
                    delta[c * stride + i - row_first] -= payload * y[c]
        for k in range(begin, end):
            j = trace.neuron[slot, k] - post
            if 0 <= j < n_post:
                y[j] += trace.payload[slot, k]
    return n_moved, n_sent


@inlined
def commit_column(plan, synapses, to, column, sign, row_first, row_last, delta, work):
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
def commit_events(plan, learner, synapses, trace, slot, sign, stream, row_first, row_last, work):
    """Event rule between two populations that both spike during the nudges."""
    projection = plan.plastic[learner]
    to = make_target(plan, synapses, learner, stream)
    source, target = plan.source[projection], plan.target[projection]
    n_moved, n_sent = sum_events(plan, trace, slot, source, target, row_first, row_last, work)
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
def commit_end_points(plan, learner, synapses, trace, slot, sign, stream, row_first, row_last, work):
    """End-point rule, both populations spike: dW = sign * (x y at the first end - x y at the second)."""
    projection = plan.plastic[learner]
    pre, post = plan.start[plan.source[projection]], plan.start[plan.target[projection]]
    to = make_target(plan, synapses, learner, stream)
    for j in range(to.n_post):
        y_first, y_second = trace.s_first[slot, post + j], trace.s_second[slot, post + j]
        for i in range(row_first, row_last):
            x_first, x_second = trace.s_first[slot, pre + i], trace.s_second[slot, pre + i]
            change = np.int32(sign * (x_first * y_first - x_second * y_second))
            if change != 0:
                step = rounded_step(to, i * to.n_post + j, change)
                if step != 0:
                    move_and_mirror(plan, synapses, to, i, j, step)


@inlined
def commit(plan, synapses, trace, slot, sign, key, part, parts, work):
    """Apply every rule for one image to the `part`-th of `parts` equal ranges of each projection's rows."""
    listed, count = np.int64(-1), 0
    for k in range(plan.plastic.shape[0]):
        learner = plan.commit_order[k]
        projection, rule = plan.plastic[learner], plan.rule[learner]
        source, target = plan.source[projection], plan.target[projection]
        first, last = plan.size[source] * part // parts, plan.size[source] * (part + 1) // parts
        stream = stream_key(key, projection)
        if plan.static[source]:
            if listed != target * N_RULES + rule:  # projections that share target and rule share the list
                listed, count = target * N_RULES + rule, list_moved(plan, trace, slot, target, rule, work)
            commit_static(plan, learner, synapses, trace, slot, sign, stream, first, last, count, work)
            continue
        listed = -1
        if rule == EVENT:
            commit_events(plan, learner, synapses, trace, slot, sign, stream, first, last, work)
        else:
            commit_end_points(plan, learner, synapses, trace, slot, sign, stream, first, last, work)
