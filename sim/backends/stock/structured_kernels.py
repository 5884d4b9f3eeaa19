"""Compiled kernels of stock networks that learn image by image; see `sim.backends.stock.structured`.

Sums and products are those of `sim.backends.stock.emulator` and `sim.backends.stock.engine_kernels`, in another order
only where order cannot matter, and left out only where nothing can change.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neuro.base.arrays import Bools, Int16, Int32, Int64, UInt32
from sim.backends.jit import inlined, jit
from sim.backends.random_bits import stream_key
from sim.backends.stock.emulator import EmulatorPlan, add_row, advance, decayed
from sim.backends.stock.engine_kernels import X_STREAM, Y_STREAM, Noise
from sim.backends.stock.neuron_tags import (
    Side,
    Synapses,
    add_impulse,
    decay,
    tidy,
    update_tags,
    update_weights,
    write_back,
)

LOOK_EVERY = 16  # steps between two looks for traces that ran empty
PIXELS = -1  # in place of the first neuron


class Images(NamedTuple):
    """What is shown: B images, and the course of a sample of T steps."""

    payloads: Int32  # [B, N], the bias unit last
    labels: Int64  # [B]
    shown: Bools  # [T]
    teaching: Bools  # [T]
    gate: Bools  # [T]
    phase: Int64  # [T]
    start: Int32  # [N] of running sums
    period: int
    last_shown: int  # the step from which on no pixel spikes
    output: int  # the first output neuron among those that move


class Work(NamedTuple):
    """What is going on; shapes by neuron that moves [n], pixel [N], first hidden neuron [H]."""

    u: Int32
    v: Int32
    accumulated: Int32
    sums: Int32
    sent: Int32
    fired: Int64  # [steps between two updates, n] who spikes
    n_fired: Int64  # [steps]
    population: Int64  # [n]
    given: Int32  # [labels + 1] the input of a step
    drive: Int32  # [period, H] what the pixels bring
    running: Int32  # [N] running sums of the live pixels
    bright: Int32  # [N] their payloads
    bits: UInt32  # [max(N, n)]


class Pixels(NamedTuple):
    """Where pixels go: the block of weights, its shift, the range of the neurons."""

    weights: Int16
    shift: int
    first: int
    last: int


@inlined
def _fill_drive(images: Images, image: int, pixels: Pixels, drive: Int32) -> None:
    """What the spikes of each step of a period bring to the first hidden layer."""
    period, n_post = images.period, pixels.last - pixels.first
    for t in range(period):
        for j in range(n_post):
            drive[t, j] = 0
    for i in range(images.payloads.shape[1]):
        p = images.payloads[image, i]
        if p == 0:
            continue
        row, running = pixels.weights[i], images.start[i]
        for t in range(period):
            running += p
            if running >= period:
                running -= period
            if running < p:
                into = drive[t]
                for j in range(n_post):
                    into[j] = np.int32(into[j] + np.int32(row[j]))
    left, right = np.int32(max(pixels.shift, 0) & 31), np.int32(max(-pixels.shift, 0) & 31)
    for t in range(period):
        for j in range(n_post):
            drive[t, j] = np.int32(np.int32(drive[t, j] << left) >> right)


@inlined
def _list_pixels(side: Side, images: Images, image: int, work: Work) -> None:
    """List the pixels that will spike or whose traces are not empty, with their running sums."""
    count = 0
    for i in range(images.payloads.shape[1]):
        if images.payloads[image, i] > 0 or side.traces[0, 0, i] != 0 or side.traces[0, 1, i] != 0:
            side.live[count] = i
            side.levels[0, count], side.levels[1, count] = side.traces[0, 0, i], side.traces[0, 1, i]
            work.bright[count], work.running[count] = images.payloads[image, i], images.start[i]
            count += 1
    side.length[0] = count


@inlined
def _spike_pixels(side: Side, work: Work, period: int, shown: bool) -> np.int32:
    """One step of the spikes of what is live, and their impulses; returns how many."""
    count, first, second = np.int32(0), np.int32(side.impulse[0]), np.int32(side.impulse[1])
    both = second != 0
    for k in range(side.length[0]):
        running = np.int32(work.running[k] + work.bright[k])
        running = np.int32(running - np.int32(period) * np.int32(running >= period))
        work.running[k] = running
        spike = np.int32(running < work.bright[k]) & np.int32(shown)
        side.levels[0, k] = min(np.int32(side.levels[0, k] + np.int32(first * spike)), np.int32(127))
        if both:
            side.levels[1, k] = min(np.int32(side.levels[1, k] + np.int32(second * spike)), np.int32(127))
        count += spike
    return count


@inlined
def _deliver(plan: EmulatorPlan, work: Work, step: int) -> None:
    """As `sim.backends.stock.emulator.deliver`, from the list of who spikes."""
    work.accumulated[:] = 0
    for r in range(plan.source.shape[0]):
        first, last = plan.start[plan.source[r]], plan.start[plan.source[r] + 1]
        begin, end = plan.start[plan.target[r]], plan.start[plan.target[r] + 1]
        total, some = work.sums[: end - begin], False
        for f in range(work.n_fired[step]):
            i = work.fired[step, f]
            if plan.transmits[r] and first <= i < last:
                if not some:
                    total[:] = 0
                some, at = True, plan.block[r] + (i - first) * (end - begin)
                add_row(total, plan.weights[at : at + end - begin], np.int32(1), False)
        if some:
            into, shift = work.accumulated[begin:end], plan.shift[r]
            left, right = np.int32(max(shift, 0) & 31), np.int32(max(-shift, 0) & 31)
            for j in range(end - begin):
                into[j] = np.int32(into[j] + np.int32(np.int32(total[j] << left) >> right))


@inlined
def _quiet(work: Work) -> bool:
    """Whether nothing is under way and no current flows: voltages only fall."""
    some = np.int32(0)
    for j in range(work.u.shape[0]):
        some |= work.u[j] | work.accumulated[j]
    return bool(some == 0)


@inlined
def _fade(plan: EmulatorPlan, now: int, work: Work) -> None:
    """A step in which nothing arrives."""
    some = np.int32(0)
    for j in range(work.v.shape[0]):
        some |= work.v[j]
    if some == 0:
        return
    for population in range(plan.kind.shape[0]):
        interval, keep = plan.interval[population], np.int32(plan.keep_v[population])
        reset = interval > 0 and now % interval == plan.offset[population]
        for j in range(plan.start[population], plan.start[population + 1]):
            work.v[j] = np.int32(0) if reset else decayed(work.v[j], keep)


@inlined
def _step_neurons(
    plan: EmulatorPlan, pixels: Pixels, images: Images, image: int, t: int, step: int, now: int, work: Work
) -> None:
    """Step t of every neuron that moves, and what it sends on its way; writes who spikes."""
    shown, teaching, gate = images.shown[t], images.teaching[t], images.gate[t]
    work.n_fired[step] = 0
    if not (shown or teaching or gate) and _quiet(work):
        _fade(plan, now, work)
        return
    work.given[:] = 0
    work.given[images.labels[image]] = np.int32(teaching)
    work.given[work.given.shape[0] - 1] = np.int32(gate)
    advance(plan, now, work.given, plan.bias, work.u, work.v, work.accumulated, work.sent)
    count, fired = 0, work.fired[step]
    for j in range(work.sent.shape[0]):
        fired[count] = j
        count += work.sent[j] != 0
    work.n_fired[step] = count
    _deliver(plan, work, step)
    if shown:
        into, arriving = work.accumulated[pixels.first : pixels.last], work.drive[t % images.period]
        for j in range(into.shape[0]):
            into[j] = np.int32(into[j] + arriving[j])


@inlined
def _trace_neurons(side: Side, work: Work, step: int) -> None:
    """Impulses of the neurons of one end that spike in a step."""
    size = side.place.shape[0]
    for f in range(work.n_fired[step]):
        i = work.fired[step, f] - side.first
        if 0 <= i < size:
            add_impulse(side, i)


@inlined
def _learn(own: Synapses, noise: Noise, images: Images, t: int, at: int, steps: int, work: Work, sent: Int64) -> bool:
    """The traces of one projection over the steps from t on, then its update.

    at: of step t in the noise.   sent: spikes of pixels by phase, added to.   Returns whether weights that pixels act
    through may have moved.
    """
    per_synapse, pixels = own.constants.per_synapse, own.x.first == PIXELS
    for step in range(steps):
        key = noise.keys[at + step]
        if own.x.length[0] == 0 and own.y.length[0] == 0 and work.n_fired[step] == 0:
            continue
        if step % LOOK_EVERY == 0:
            if not pixels or t + step >= images.last_shown:
                tidy(own.x)
            tidy(own.y)
        decay(own.x, work.bits, per_synapse, stream_key(key, X_STREAM), noise.rho_x[at + step])
        decay(own.y, work.bits, per_synapse, stream_key(key, Y_STREAM), noise.rho_y[at + step])
        if pixels:
            if t + step < images.last_shown:
                sent[images.phase[t + step]] += _spike_pixels(own.x, work, images.period, images.shown[t + step])
        else:
            _trace_neurons(own.x, work, step)
        _trace_neurons(own.y, work, step)
    write_back(own.x)
    write_back(own.y)
    last = at + steps - 1
    moved = update_weights(own, noise.keys[last], noise.rounding[last])
    update_tags(own)
    return moved and own.drives


@inlined
def _tell(images: Images, image: int, t: int, at: int, steps: int, work: Work, counts: Int64, output: Int32,
          kept: Int32) -> None:  # fmt: skip
    """Count the spikes of the steps from t on, and write them into `kept`."""
    for step in range(steps):
        phase = images.phase[t + step]
        for f in range(work.n_fired[step]):
            i = work.fired[step, f]
            counts[work.population[i], phase] += 1
            if phase == 0 and 0 <= i - images.output < output.shape[1]:
                output[image, i - images.output] += 1
            if kept.shape[0] > 0:
                kept[at + step, i] = 1


@jit
def learn_images(
    plan: EmulatorPlan, pixels: Pixels, engines: tuple[Synapses, ...], noises: tuple[Noise, ...], n_engines: int,
    images: Images, work: Work, time: int, counts: Int64, output: Int32, kept: Int32,
) -> None:  # fmt: skip
    """Learn B images of T steps one after the other, in turns that end with an update.

    engines, noises: the first n_engines count; the others make that all networks run the same compiled code.
    counts: [populations + 1, phases], added to, pixels last.   output: [B, K], spikes in phase 0.
    kept: what every moving neuron sends, of shape [B * T, n], all zero, or none.
    """
    steps = work.fired.shape[0]
    for image in range(images.payloads.shape[0]):
        _fill_drive(images, image, pixels, work.drive)
        for k in range(n_engines):
            if engines[k].x.first == PIXELS:
                _list_pixels(engines[k].x, images, image, work)
        for t in range(0, images.shown.shape[0], steps):
            at, moved = image * images.shown.shape[0] + t, False
            for step in range(steps):
                _step_neurons(plan, pixels, images, image, t + step, step, time + at + step + 1, work)
            for k in range(n_engines):
                moved |= _learn(engines[k], noises[k], images, t, at, steps, work, counts[plan.kind.shape[0]])
            if moved and t + steps < images.last_shown:
                _fill_drive(images, image, pixels, work.drive)
            _tell(images, image, t, at, steps, work, counts, output, kept)
