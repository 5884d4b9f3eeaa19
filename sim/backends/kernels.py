"""Compiled kernels: run one image through a `Plan`, event by event.

The same integers as `sim.backends.reference`, computed sparsely: a projection costs work only for neurons that sent.
Rounding comes from `neuro.fixed_point`, compiled as it stands. All arithmetic that matters is kept in 32 bits so that
the inner loops become vector instructions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.backends.jit import inlined, jit
from sim.backends.plan import LANES, Plan

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


NARROW_PAYLOAD = 31  # 8 * 31 * 128 < 2**15
NARROW_ROW = 64  # shorter rows gain nothing


class Scratch(NamedTuple):
    """State of one image in flight; one per thread."""

    a: Int32  # [N] accumulated input
    u: Int32  # [N] state
    s: Int32  # [N] s_hat, what the receivers know
    total: Int32  # [N] input plus the nudge
    narrow: npt.NDArray[np.int16]  # [N] a sum of few products
    neuron: Int32  # [N] who sent in the last step: local indices, per population from plan.start on
    payload: Int32  # [N] and what
    n_events: Int64  # [P]


class Trace(NamedTuple):
    """What learning reads afterwards, for each image of a batch (slots)."""

    s_first: Int32  # [slots, N] s_hat at the end of the first nudge
    s_second: Int32  # [slots, N]
    u_first: Int32  # [slots, N]
    u_second: Int32  # [slots, N]
    active: Int32  # [slots, N] neurons of sources with a payload: local indices, per population from plan.start on
    n_active: Int64  # [slots, P]
    neuron: Int32  # [slots, capacity] spikes of the second nudge: neuron index over the whole network
    payload: Int32  # [slots, capacity]
    step_end: Int64  # [slots, steps + 1] where the spikes of each step end


class Outputs(NamedTuple):
    """Results of B images. Arrays of length 0 along B are not written."""

    predictions: Int32  # [B]
    output_states: Int32  # [B, K]
    settled: npt.NDArray[np.bool_]  # [B]
    counts: Int64  # [B, P, 1 + phases]
    states: Int32  # [B or 0, phases, N]
    spikes: Int32  # [capacity, 5] rows of a SpikeTable


def make_scratch(n_neurons: int, n_populations: int) -> Scratch:
    """Return zeroed scratch space."""
    a, u, s, total, neuron, payload = (np.zeros(n_neurons, dtype=np.int32) for _ in range(6))
    narrow = np.zeros(n_neurons, dtype=np.int16)
    return Scratch(a, u, s, total, narrow, neuron, payload, np.zeros(n_populations, dtype=np.int64))


def make_trace(slots: int, n_neurons: int, n_populations: int, steps: int) -> Trace:
    """Return space for the learning traces of `slots` images whose second nudge lasts `steps`."""
    first, second, u_first, u_second, active = (np.zeros((slots, n_neurons), dtype=np.int32) for _ in range(5))
    neuron, payload = (np.zeros((slots, n_neurons * steps), dtype=np.int32) for _ in range(2))
    n_active, step_end = np.zeros((slots, n_populations), np.int64), np.zeros((slots, steps + 1), np.int64)
    return Trace(first, second, u_first, u_second, active, n_active, neuron, payload, step_end)


@inlined
def copy(values, into):
    """into[:] = values. (Slice assignment would allocate a temporary.)"""
    for j in range(values.shape[0]):
        into[j] = values[j]


@inlined
def shifted(value, bits):
    """value >> bits, int32, for 0 <= bits < 32. Without the mask the compiler would compute in 64 bits."""
    return np.int32(value >> np.int32(bits & 31))


@inlined
def fits_narrow(payload):
    """Whether every |payload| <= NARROW_PAYLOAD, so that eight products with int8 weights add up in 16 bits."""
    magnitudes = np.int32(0)
    for k in range(payload.shape[0]):
        magnitudes |= np.int32(payload[k] ^ np.int32(payload[k] >> 31))
    return magnitudes <= NARROW_PAYLOAD


@jit
def accumulate(a, narrow, weights, block, neuron, payload, count, scale):
    """a_j += sum over events of payload * scale * W[neuron, j], eight rows at a time. Rows have the length of a.

    With a `narrow` buffer as long as `a` the eight products are added in 16 bits, twice as fast; else it has length 0.
    Slices, not weights[b + j], and few casts: only so the inner loops become vector instructions.
    """
    n_post, done = a.shape[0], 0
    while done + 8 <= count:
        p0, p1, p2, p3 = payload[done], payload[done + 1], payload[done + 2], payload[done + 3]
        p4, p5, p6, p7 = payload[done + 4], payload[done + 5], payload[done + 6], payload[done + 7]
        b0, b1 = block + neuron[done] * n_post, block + neuron[done + 1] * n_post
        b2, b3 = block + neuron[done + 2] * n_post, block + neuron[done + 3] * n_post
        b4, b5 = block + neuron[done + 4] * n_post, block + neuron[done + 5] * n_post
        b6, b7 = block + neuron[done + 6] * n_post, block + neuron[done + 7] * n_post
        r0, r1, r2 = weights[b0 : b0 + n_post], weights[b1 : b1 + n_post], weights[b2 : b2 + n_post]
        r3, r4, r5 = weights[b3 : b3 + n_post], weights[b4 : b4 + n_post], weights[b5 : b5 + n_post]
        r6, r7 = weights[b6 : b6 + n_post], weights[b7 : b7 + n_post]
        if narrow.shape[0] > 0:
            for j in range(n_post):
                narrow[j] = np.int16(
                    p0 * np.int32(r0[j]) + p1 * np.int32(r1[j]) + p2 * np.int32(r2[j]) + p3 * np.int32(r3[j])
                    + p4 * np.int32(r4[j]) + p5 * np.int32(r5[j]) + p6 * np.int32(r6[j]) + p7 * np.int32(r7[j])
                )  # fmt: skip
            for j in range(n_post):
                a[j] += np.int32(scale * np.int32(narrow[j]))
        else:
            for j in range(n_post):
                total = np.int32(
                    p0 * np.int32(r0[j]) + p1 * np.int32(r1[j]) + p2 * np.int32(r2[j]) + p3 * np.int32(r3[j])
                    + p4 * np.int32(r4[j]) + p5 * np.int32(r5[j]) + p6 * np.int32(r6[j]) + p7 * np.int32(r7[j])
                )  # fmt: skip
                a[j] += np.int32(scale * total)
        done += 8
    while done < count:
        p0, b0 = np.int32(payload[done] * scale), block + neuron[done] * n_post
        r0 = weights[b0 : b0 + n_post]
        for j in range(n_post):
            a[j] += np.int32(p0 * np.int32(r0[j]))
        done += 1


@inlined
def deliver(plan, weights, scratch):
    """Add the last step's spikes to the input of every target."""
    for population in range(plan.static.shape[0]):
        count = scratch.n_events[population]
        if count == 0:
            continue
        first = plan.start[population]
        neuron = scratch.neuron[first : first + count]
        payload = scratch.payload[first : first + count]
        narrow = fits_narrow(payload)
        for k in range(plan.outgoing_start[population], plan.outgoing_start[population + 1]):
            projection = plan.outgoing[k]
            target = plan.target[projection]
            begin, end = plan.start[target], plan.start[target + 1]
            space = scratch.narrow[begin : end if narrow and end - begin >= NARROW_ROW else begin]
            accumulate(
                scratch.a[begin:end], space, weights, plan.block[projection], neuron, payload, count,
                plan.weight_scale[projection],
            )  # fmt: skip


@inlined
def gather(neuron, payload):
    """Move the non-zero payloads to the front and list whose they are; returns how many.

    No branch per neuron (spikes are unpredictable); blocks in which nobody sent are skipped. The length is a multiple
    of LANES.
    """
    count = 0
    for first in range(0, payload.shape[0], LANES):
        sent = np.int32(0)
        for j in range(LANES):
            sent = np.int32(sent | payload[first + j])
        if sent != 0:
            for j in range(first, first + LANES):
                neuron[count] = j
                count += payload[j] != 0
    for k in range(count):
        payload[k] = payload[neuron[k]]
    return count


@inlined
def present(plan, payload, scratch):
    """Step 0: reset every state and let the sources send."""
    for population in range(plan.static.shape[0]):
        first, last = plan.start[population], plan.start[population + 1]
        count = 0
        if plan.static[population]:
            sent = scratch.payload[first:last]
            if population == plan.input:
                copy(payload, sent)
                sent[payload.shape[0] :] = 0
            else:
                copy(plan.constant[first:last], sent)
            copy(sent, scratch.s[first:last])
            count = gather(scratch.neuron[first:last], sent)
        else:
            scratch.a[first:last] = 0
            scratch.u[first:last] = 0
            scratch.s[first:last] = 0
        scratch.n_events[population] = count


@inlined
def relax(total, u, s, multiplier, shift, lower, upper, send_shift, neuron, payload):
    """One step of a sigma-delta population; returns how many neurons sent."""
    half = shifted(np.int32(1 << send_shift), 1)
    size = u.shape[0]
    sent = np.int32(0)
    for j in range(size):
        moved = np.int32(u[j] + shifted(np.int32(np.int32(total[j] - u[j]) * multiplier), shift))
        moved = min(max(moved, lower), upper)
        u[j] = moved
        q = np.int32(shifted(np.int32(moved + half), send_shift) - s[j])
        s[j] += q
        payload[j] = q
        sent = np.int32(sent | q)
    return gather(neuron, payload) if sent != 0 else 0


@inlined
def advance(plan, target, force, scratch):
    """Update all populations from the input accumulated so far."""
    for population in range(plan.static.shape[0]):
        if plan.static[population]:
            scratch.n_events[population] = 0
            continue
        begin, end = plan.start[population], plan.start[population + 1]
        total = scratch.a[begin:end]
        if force != 0 and population == plan.output:
            total = scratch.total[begin:end]
            for j in range(plan.size[population]):
                pull = ((target[j] - scratch.u[begin + j]) * plan.nudge_multiplier) >> plan.nudge_shift
                total[j] = np.int32(scratch.a[begin + j] + force * pull)
        scratch.n_events[population] = relax(
            total, scratch.u[begin:end], scratch.s[begin:end], plan.multiplier[population], plan.shift[population],
            plan.lower[population], plan.upper[population], plan.send_shift[population],
            scratch.neuron[begin:end], scratch.payload[begin:end],
        )  # fmt: skip


@inlined
def read_free_phase(plan, scratch, image, out):
    """Write the prediction, the output state and whether the network was silent in this step."""
    begin = plan.start[plan.output]
    end = begin + plan.size[plan.output]
    best = begin
    for j in range(begin, end):
        out.output_states[image, j - begin] = scratch.u[j]
        if scratch.u[j] > scratch.u[best]:
            best = j
    out.predictions[image] = best - begin
    silent = True
    for population in range(plan.static.shape[0]):
        silent = silent and scratch.n_events[population] == 0
    out.settled[image] = silent


@inlined
def keep_end(plan, scratch, s, u):
    """Copy what a rule may read at the end of a nudge: s_hat of all neurons, u where a rule uses it."""
    for population in range(plan.static.shape[0]):
        first, last = plan.start[population], plan.start[population + 1]
        copy(scratch.s[first:last], s[first:last])
        if plan.keeps_state[population]:
            copy(scratch.u[first:last], u[first:last])


@inlined
def keep_for_learning(plan, scratch, step, trace, slot):
    """Store what the learning rules read: both equilibria, and every spike of the second nudge."""
    last = plan.ends.shape[0] - 1
    first_end = plan.ends[last - 1]
    if step == 0:
        for population in range(plan.static.shape[0]):
            first, count = plan.start[population], scratch.n_events[population]
            copy(scratch.neuron[first : first + count], trace.active[slot, first : first + count])
            trace.n_active[slot, population] = count
    if step == first_end:
        keep_end(plan, scratch, trace.s_first[slot], trace.u_first[slot])
        trace.step_end[slot, 0] = 0
    if step > first_end:
        at = trace.step_end[slot, step - first_end - 1]
        for population in range(plan.static.shape[0]):
            first = plan.start[population]
            for k in range(first, first + scratch.n_events[population]):
                trace.neuron[slot, at] = first + scratch.neuron[k]
                trace.payload[slot, at] = scratch.payload[k]
                at += 1
        trace.step_end[slot, step - first_end] = at
    if step == plan.ends[last]:
        keep_end(plan, scratch, trace.s_second[slot], trace.u_second[slot])


@inlined
def keep_spikes(plan, scratch, image, step, spikes, at):
    """Append this step's spikes to the table; returns the new length, which may exceed the capacity (then call again)."""
    for population in range(plan.static.shape[0]):
        first = plan.start[population]
        for k in range(first, first + scratch.n_events[population]):
            if at < spikes.shape[0]:
                spikes[at, 0] = image
                spikes[at, 1] = step
                spikes[at, 2] = population
                spikes[at, 3] = scratch.neuron[k]
                spikes[at, 4] = scratch.payload[k]
            at += 1
    return at


@inlined
def simulate(plan, weights, payload, target, sign, last_step, scratch, image, out, trace, slot, learning, n_spikes):
    """Run one image to `last_step`; returns the length of the spike table."""
    present(plan, payload, scratch)
    for step in range(last_step + 1):
        if step > 0:
            deliver(plan, weights, scratch)
            advance(plan, target, sign * plan.nudge[step], scratch)
        for population in range(plan.static.shape[0]):
            out.counts[image, population, plan.phase[step]] += scratch.n_events[population]
        if step == plan.ends[0]:
            read_free_phase(plan, scratch, image, out)
        if learning:
            keep_for_learning(plan, scratch, step, trace, slot)
        if out.states.shape[0] > 0 and step > 0 and step == plan.ends[plan.phase[step] - 1]:
            keep_states(plan, scratch, out.states[image, plan.phase[step] - 1])
        if out.spikes.shape[0] > 0:
            n_spikes = keep_spikes(plan, scratch, image, step, out.spikes, n_spikes)
    return n_spikes


@inlined
def keep_states(plan, scratch, states):
    """Copy u, and s_hat for sources, which have no u."""
    for population in range(plan.static.shape[0]):
        begin, end = plan.start[population], plan.start[population + 1]
        copy(scratch.s[begin:end] if plan.static[population] else scratch.u[begin:end], states[begin:end])


@jit
def simulate_range(plan, weights, payloads, targets, signs, last_step, first, last, scratch, out, trace):
    """Run images first..last-1 with fixed weights; returns the length of the spike table."""
    n_spikes = 0
    for image in range(first, last):
        n_spikes = simulate(
            plan, weights, payloads[image], targets[image], signs[image], last_step, scratch, image, out, trace, 0,
            False, n_spikes,
        )  # fmt: skip
    return n_spikes


__all__ = ["Outputs", "Plan", "Scratch", "Trace", "make_scratch", "make_trace", "simulate", "simulate_range"]
