"""Compiled kernels: run one image through a `Plan`, event by event.

The same integers as `sim.backends.reference`, computed sparsely: a projection costs work only for neurons that sent.
Rounding comes from `neuro.base.fixed_point`, compiled as it stands. All arithmetic that matters is kept in 32 bits so
that the inner loops become vector instructions.
"""

from __future__ import annotations

import numpy as np

from neuro.base.arrays import Index, Int16, Int32
from sim.backends.events.generator_kernels import generate, keep_generated
from sim.backends.events.layout import Plan
from sim.backends.events.map_kernels import convolve
from sim.backends.events.maps import DENSE
from sim.backends.events.space import Outputs, Scratch, Trace
from sim.backends.events.synapse_kernels import Synapses
from sim.backends.jit import inlined
from sim.backends.primitives import NARROW_ROW, accumulate, copy, fits_narrow, gather, shifted


@inlined
def deliver(plan: Plan, weights: Synapses, scratch: Scratch) -> None:
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
            if plan.kind[projection] != DENSE:
                a, scale = scratch.a[begin:end], plan.weight_scale[projection]
                convolve(plan, projection, a, weights.wide, neuron, payload, count, scale)
                continue
            space = scratch.narrow[begin : end if narrow and end - begin >= NARROW_ROW else begin]
            accumulate(
                scratch.a[begin:end], space, weights.dense, plan.block[projection], neuron, payload, count,
                plan.weight_scale[projection],
            )  # fmt: skip


@inlined
def present(plan: Plan, payload: Int16, scratch: Scratch) -> None:
    """Step 0: reset every state and let the sources send."""
    for population in range(plan.static.shape[0]):
        first, last = plan.start[population], plan.start[population + 1]
        count = 0
        if plan.static[population]:
            sent = scratch.payload[first:last]
            if population == plan.input and plan.window > 0:
                sent[:] = 0
            elif population == plan.input:
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
def relax(
    total: Int32, u: Int32, s: Int32, multiplier: np.int32, shift: np.int32, lower: np.int32, upper: np.int32,
    send_shift: np.int32, neuron: Int32, payload: Int32,
) -> int:  # fmt: skip
    """One step of a sigma-delta population without threshold; returns how many neurons sent."""
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
def relax_sparsely(
    total: Int32, u: Int32, s: Int32, multiplier: np.int32, shift: np.int32, lower: np.int32, upper: np.int32,
    send_shift: np.int32, threshold: np.int32, hard: bool, neuron: Int32, payload: Int32,
) -> int:  # fmt: skip
    """One step of a population with a sparsity threshold; returns how many neurons sent."""
    half = shifted(np.int32(1 << send_shift), 1)
    sent = np.int32(0)
    for j in range(u.shape[0]):
        moved = np.int32(u[j] + shifted(np.int32(np.int32(total[j] - u[j]) * multiplier), shift))
        moved = np.int32(min(max(moved, lower), upper))
        u[j] = moved
        beyond = np.int32(moved - np.int32(min(max(moved, np.int32(-threshold)), threshold)))
        beyond = moved if hard and beyond != 0 else beyond
        q = np.int32(shifted(np.int32(beyond + half), send_shift) - s[j])
        s[j] += q
        payload[j] = q
        sent = np.int32(sent | q)
    return gather(neuron, payload) if sent != 0 else 0


@inlined
def hold_force(plan: Plan, target: Int32, scratch: Scratch) -> None:
    """Take the force of the nudge from the output as it is now."""
    begin = plan.start[plan.output]
    for j in range(plan.size[plan.output]):
        scratch.pull[j] = ((target[j] - scratch.u[begin + j]) * plan.nudge_multiplier) >> plan.nudge_shift


@inlined
def push(plan: Plan, population: int, target: Int32, current: Int32, force: np.int32, scratch: Scratch) -> None:
    """Put into total the input of a population and the force of the nudge: of the output its own, else a current.

    force: the sign of the nudge.
    """
    begin = plan.start[population]
    if population == plan.output:
        if not plan.holds:
            hold_force(plan, target, scratch)
        for j in range(plan.size[population]):
            scratch.total[begin + j] = np.int32(scratch.a[begin + j] + force * scratch.pull[j])
    else:
        for j in range(begin, plan.start[population + 1]):
            scratch.total[j] = np.int32(scratch.a[j] + force * current[j])


@inlined
def advance(plan: Plan, target: Int32, current: Int32, force: np.int32, step: Index, scratch: Scratch) -> None:
    """Update the populations whose turn it is from the input accumulated so far."""
    for population in range(plan.static.shape[0]):
        if plan.static[population] or plan.parity[population] == 1 - step % 2:
            scratch.n_events[population] = 0
            continue
        begin, end = plan.start[population], plan.start[population + 1]
        total = scratch.a[begin:end]
        if force != 0 and (population == plan.output or current.shape[0] > 0):
            total = scratch.total[begin:end]
            push(plan, population, target, current, force, scratch)
        if plan.threshold[population] == 0:
            scratch.n_events[population] = relax(
                total, scratch.u[begin:end], scratch.s[begin:end], plan.multiplier[population], plan.shift[population],
                plan.lower[population], plan.upper[population], plan.send_shift[population],
                scratch.neuron[begin:end], scratch.payload[begin:end],
            )  # fmt: skip
        else:
            scratch.n_events[population] = relax_sparsely(
                total, scratch.u[begin:end], scratch.s[begin:end], plan.multiplier[population], plan.shift[population],
                plan.lower[population], plan.upper[population], plan.send_shift[population],
                plan.threshold[population], plan.hard[population],
                scratch.neuron[begin:end], scratch.payload[begin:end],
            )  # fmt: skip


@inlined
def read_free_phase(plan: Plan, scratch: Scratch, image: int, out: Outputs) -> None:
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
def keep_end(plan: Plan, scratch: Scratch, s: Int32, u: Int32) -> None:
    """Copy what a rule may read at the end of a nudge: s_hat of all neurons, u where a rule uses it."""
    for population in range(plan.static.shape[0]):
        first, last = plan.start[population], plan.start[population + 1]
        copy(scratch.s[first:last], s[first:last])
        if plan.keeps_state[population]:
            copy(scratch.u[first:last], u[first:last])


@inlined
def keep_input(plan: Plan, scratch: Scratch, trace: Trace, slot: int) -> None:
    """List the neurons that sent at the presentation."""
    for population in range(plan.static.shape[0]):
        first, count = plan.start[population], scratch.n_events[population]
        copy(scratch.neuron[first : first + count], trace.active[slot, first : first + count])
        trace.n_active[slot, population] = count


@inlined
def keep_equilibrium(
    plan: Plan, scratch: Scratch, phase: int, image: int, out: Outputs, trace: Trace, slot: int
) -> None:
    """Store what the learning rules read at the end of the last two phases, the nudges."""
    nudge = phase - (plan.ends.shape[0] - 2)
    if nudge < 0:
        return
    s, u = (trace.s_first[slot], trace.u_first[slot]) if nudge == 0 else (trace.s_second[slot], trace.u_second[slot])
    keep_end(plan, scratch, s, u)
    begin = plan.start[plan.output]
    copy(scratch.u[begin : begin + plan.size[plan.output]], out.nudged[image, nudge])


@inlined
def keep_spikes(plan: Plan, scratch: Scratch, image: int, step: Index, spikes: Int32, at: int) -> int:
    """Append this step's spikes to the table; returns the new length, which may exceed the capacity."""
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
def simulate(
    plan: Plan, weights: Synapses, payload: Int16, target: Int32, current: Int32, sign: np.int32, key: np.uint32,
    last_step: int, scratch: Scratch, image: int, out: Outputs, trace: Trace, slot: int, learning: bool, n_spikes: int,
) -> int:  # fmt: skip
    """Run one image to `last_step`; returns the length of the spike table.

    What is left of a phase after two silent steps is skipped where nothing can change in it.
    """
    present(plan, payload, scratch)
    quiet, step = 0, np.int64(0)
    while step <= last_step:
        if step > 0:
            deliver(plan, weights, scratch)
            advance(plan, target, current, sign * plan.nudge[step], step, scratch)
            if step <= plan.window:
                generate(plan, payload, key, step, scratch)
        n_sent = np.int64(0)
        for population in range(plan.static.shape[0]):
            out.counts[image, population, plan.phase[step]] += scratch.n_events[population]
            n_sent += scratch.n_events[population]
        if step <= plan.ends[0] and n_sent > 0:
            out.last_spike[image] = step
        if out.spikes.shape[0] > 0:
            n_spikes = keep_spikes(plan, scratch, image, step, out.spikes, n_spikes)
        if learning and step == 0:
            keep_input(plan, scratch, trace, slot)
        if learning and step > 0 and step == plan.window:
            keep_generated(plan, scratch, trace, slot)
        quiet = quiet + 1 if step > 0 and step >= plan.window and n_sent == 0 else 0
        if quiet >= 2 and plan.skips:
            step = plan.ends[plan.phase[step] - 1]
        if step > 0 and step == plan.ends[plan.phase[step] - 1]:
            quiet = 0
            end_phase(plan, scratch, plan.phase[step] - 1, target, image, out, trace, slot, learning)
        step += 1
    return n_spikes


@inlined
def end_phase(
    plan: Plan, scratch: Scratch, phase: int, target: Int32, image: int, out: Outputs, trace: Trace, slot: int,
    learning: bool,
) -> None:  # fmt: skip
    """Read what is asked for at the end of a phase."""
    if phase == 0:
        read_free_phase(plan, scratch, image, out)
        if plan.holds:
            hold_force(plan, target, scratch)
    if learning:
        keep_equilibrium(plan, scratch, phase, image, out, trace, slot)
    if out.states.shape[0] > 0:
        keep_states(plan, scratch, out.states[image, phase])


@inlined
def keep_states(plan: Plan, scratch: Scratch, states: Int32) -> None:
    """Copy u, and s_hat for sources, which have no u."""
    for population in range(plan.static.shape[0]):
        begin, end = plan.start[population], plan.start[population + 1]
        copy(scratch.s[begin:end] if plan.static[population] else scratch.u[begin:end], states[begin:end])
