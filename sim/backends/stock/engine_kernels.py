"""Compiled kernels of the learning engine; equations in `sim.backends.stock.learning_engine`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neuro.base.arrays import Bools, Int16, Int32, Int64, Reals, UInt32
from sim.backends.jit import inlined, jit
from sim.backends.primitives import copy
from sim.backends.random_bits import stream_key, synapse_bits

X0, Y0, U = 0, 1, 2
X_STREAM, Y_STREAM, WEIGHT_STREAM, TAG_STREAM = 0, 1, 2, 3
ACCUMULATOR_MIN, ACCUMULATOR_MAX = -(2**15) - 1, 2**15 - 1
TAG_MIN, TAG_MAX = -(2**8) - 1, 2**8 - 1
UNIT = 1.0 / 2**32


class Terms(NamedTuple):
    """The products of one synaptic variable, flattened; F factors in all."""

    dependency: Int64  # [P]
    mantissa: Int64  # [P]
    down: Int64  # [P] right shift after the multiplications
    up: Int64  # [P] left shift after that
    first: Int64  # [P + 1] range of factors
    variable: Int64  # [F] index in VARIABLES
    constant: Int64  # [F]
    reach: Int64  # [F] 2**width, where the factor saturates
    sign: Bools  # [F] whether the factor is the sign


class EngineState(NamedTuple):
    """All that changes; shapes [N, M], [2, N] and [2, M]."""

    weights: Int16
    tags: Int32
    x: Int32  # traces x1, x2
    y: Int32  # traces y1, y2
    tx: Int32  # [N] step within the epoch of the last spike, 0 for none
    ty: Int32  # [M]
    space: Int32  # [3, M] accumulators of weights and tags, and a product


class Constants(NamedTuple):
    """All that stays, as plain arrays."""

    for_weights: Terms
    for_tags: Terms
    decay: Reals  # [2, 2] side, trace
    impulse: Int64  # [2, 2]
    t_epoch: int
    period: int  # 2**k, 0 if no product depends on u
    lowest: int  # weight
    highest: int
    coarse: bool  # whether weights move in steps of 2
    per_synapse: bool
    uses_x0: bool
    uses_y0: bool


class Noise(NamedTuple):
    """Random numbers of T steps: uniform in [0, 1) for Lava's shared noise, and a key for that per synapse."""

    rho_x: Reals
    rho_y: Reals
    rounding: Reals
    keys: UInt32


@inlined
def _note_spikes(spikes: Bools | Int32, traces: Int32, impulse: Int64, times: Int32, within: int) -> None:
    """Keep the time of each spike; a second one in an epoch counts at once."""
    for i in range(spikes.shape[0]):
        if spikes[i]:
            if times[i] > 0:
                for trace in range(2):
                    traces[trace, i] = min(traces[trace, i] + impulse[trace], 127)
            times[i] = within


@inlined
def _decay(before: Int32, after: Int32, times: Int32, step: int, decay: float, impulse: np.int32, rho: float) -> None:
    """After = before, decayed over one step with the random number rho, plus the impulse where a spike fell on it."""
    for i in range(times.shape[0]):
        decayed = decay * before[i]
        whole = np.int32(decayed)
        value = np.int32(whole + np.int32(rho < decayed - whole))
        after[i] = min(np.int32(value + impulse * np.int32(times[i] == step)), np.int32(127))


@inlined
def _decay_each(
    before: Int32, after: Int32, times: Int32, step: int, decay: float, impulse: np.int32, key: np.uint32, first: int
) -> None:
    """As `_decay`, with a random number per trace; an empty trace needs none."""
    for i in range(times.shape[0]):
        if before[i] == 0:
            after[i] = min(np.int32(impulse * np.int32(times[i] == step)), np.int32(127))
            continue
        decayed = decay * before[i]
        whole = np.int32(decayed)
        value = np.int32(whole + np.int32(synapse_bits(key, first + i) * UNIT < decayed - whole))
        after[i] = min(np.int32(value + impulse * np.int32(times[i] == step)), np.int32(127))


@inlined
def _epoch(
    traces: Int32, decay: Reals, impulse: Int64, times: Int32, history: Int32, rho: float, per_synapse: bool,
    key: np.uint32,
) -> None:  # fmt: skip
    """Write the course of the traces over the epoch into history [1 + t_epoch, 2, N], then move them to its end."""
    last = history.shape[0] - 1
    for trace in range(2):
        copy(traces[trace], history[0, trace])
        gain = np.int32(impulse[trace])
        for step in range(1, last + 1):
            before, after = history[step - 1, trace], history[step, trace]
            if per_synapse:
                first = (step * 2 + trace) * times.shape[0]
                _decay_each(before, after, times, step, decay[trace], gain, key, first)
            else:
                _decay(before, after, times, step, decay[trace], gain, rho)
        copy(history[last, trace], traces[trace])


@inlined
def common_factor(terms: Terms, k: int, i: int, x: Int32, tx: Int32) -> np.int32:
    """The factor of product k that all synapses from pre neuron i share: mantissa times its own traces."""
    dependency, value = terms.dependency[k], np.int32(terms.mantissa[k])
    if dependency != Y0:
        moment = tx[i] if dependency == X0 else x.shape[0] - 1
        for f in range(terms.first[k], terms.first[k + 1]):
            if terms.variable[f] < 2:
                trace = x[moment, terms.variable[f], i] + terms.constant[f]
                value *= np.int32(min(max(trace, -terms.reach[f]), terms.reach[f] - 1))
    return value


@inlined
def multiply(
    part: Int32, terms: Terms, f: int, dependency: int, i: int, x: Int32, y: Int32, tx: Int32, ty: Int32,
    weights: Int16, tags: Int32,
) -> None:  # fmt: skip
    """part_j *= factor f of the synapses from pre neuron i, traces read when its product is evaluated."""
    variable, constant = terms.variable[f], np.int32(terms.constant[f])
    lowest, highest = np.int32(-terms.reach[f]), np.int32(terms.reach[f] - 1)
    last = x.shape[0] - 1
    if variable >= 4 and terms.sign[f]:
        for j in range(part.shape[0]):
            value = np.int32(np.int32(weights[j] if variable == 4 else tags[j]) + constant)
            part[j] *= np.int32(np.int32(value > 0) - np.int32(value < 0))
    elif variable >= 4:
        for j in range(part.shape[0]):
            value = np.int32(np.int32(weights[j] if variable == 4 else tags[j]) + constant)
            part[j] *= min(max(value, lowest), highest)
    elif dependency == Y0:
        for j in range(part.shape[0]):
            value = x[ty[j], variable, i] if variable < 2 else y[ty[j], variable - 2, j]
            part[j] *= min(max(np.int32(value + constant), lowest), highest)
    else:
        trace = y[tx[i] if dependency == X0 else last, variable - 2]
        for j in range(part.shape[0]):
            part[j] *= min(max(np.int32(trace[j] + constant), lowest), highest)


@inlined
def accumulate(
    total: Int32, part: Int32, terms: Terms, i: int, x: Int32, y: Int32, tx: Int32, ty: Int32, weights: Int16,
    tags: Int32, u: bool,
) -> None:  # fmt: skip
    """Add all products to the 16-bit accumulators `total` of the synapses from pre neuron i."""
    lowest, highest = np.int32(ACCUMULATOR_MIN), np.int32(ACCUMULATOR_MAX)
    for k in range(terms.mantissa.shape[0]):
        dependency = terms.dependency[k]
        if (dependency == X0 and tx[i] == 0) or (dependency == U and not u):
            continue
        common = common_factor(terms, k, i, x, tx)
        if common == 0:
            continue
        part[:] = common
        for f in range(terms.first[k], terms.first[k + 1]):
            if terms.variable[f] >= 2 or dependency == Y0:
                multiply(part, terms, f, dependency, i, x, y, tx, ty, weights, tags)
        down, up = np.int32(terms.down[k] & 31), np.int32(terms.up[k] & 31)
        for j in range(part.shape[0]):
            product = min(max(np.int32(np.int32(part[j] >> down) << up), lowest), highest)
            if dependency == Y0 and ty[j] == 0:
                product = np.int32(0)
            total[j] = min(max(np.int32(total[j] + product), lowest), highest)


@inlined
def store(
    total: Int32, values: Int16 | Int32, lowest: np.int32, highest: np.int32, clears_sign: bool, coarse: bool,
    per_synapse: bool, key: np.uint32, first: int, r: float,
) -> None:  # fmt: skip
    """Values = total / 128, rounded stochastically (to even numbers if coarse), saturated.

    r: a random number in [0, 1) for all, unless per synapse. r < fraction is the same as floor(128 r) < 128 fraction.
    """
    shift = np.int32(8 if coarse else 7)
    mask, step = np.int32((1 << shift) - 1), np.int32(2 if coarse else 1)
    drawn = np.int32(r * (mask + 1))
    if clears_sign:  # an excitatory or inhibitory accumulator never crosses zero
        for j in range(total.shape[0]):
            total[j] = max(total[j], np.int32(0)) if lowest == 0 else min(total[j], np.int32(0))
    fraction = np.int32(0)
    for j in range(total.shape[0]):
        fraction |= np.int32(total[j] & mask)
    if fraction == 0:  # nothing to round
        for j in range(total.shape[0]):
            values[j] = min(max(np.int32(np.int32(total[j] >> shift) * step), lowest), highest)
    elif per_synapse:
        for j in range(total.shape[0]):
            bits = np.int32(synapse_bits(key, first + j) >> np.uint32(32 - shift))
            moved = np.int32(np.int32(total[j] >> shift) + np.int32(np.int32(total[j] & mask) > bits))
            values[j] = min(max(np.int32(moved * step), lowest), highest)
    else:
        for j in range(total.shape[0]):
            moved = np.int32(np.int32(total[j] >> shift) + np.int32(np.int32(total[j] & mask) > drawn))
            values[j] = min(max(np.int32(moved * step), lowest), highest)


@inlined
def _update(constants: Constants, state: EngineState, x: Int32, y: Int32, u: bool, r: float, key: np.uint32) -> None:
    """Apply the rule to the synapses that some product may move, row by row."""
    tx, ty, space = state.tx, state.ty, state.space
    any_post = False
    for j in range(ty.shape[0]):
        any_post = any_post or ty[j] > 0
    stream_w, stream_t = stream_key(key, WEIGHT_STREAM), stream_key(key, TAG_STREAM)
    one_sign = constants.lowest == 0 or constants.highest == 0
    for i in range(tx.shape[0]):
        if not (u or (constants.uses_x0 and tx[i] > 0) or (constants.uses_y0 and any_post)):
            continue
        weights, tags, first = state.weights[i], state.tags[i], i * ty.shape[0]
        if constants.for_weights.mantissa.shape[0] > 0:
            for j in range(ty.shape[0]):
                space[0, j] = np.int32(np.int32(weights[j]) << 7)
            accumulate(space[0], space[2], constants.for_weights, i, x, y, tx, ty, weights, tags, u)
        if constants.for_tags.mantissa.shape[0] > 0:
            for j in range(ty.shape[0]):
                space[1, j] = np.int32(tags[j] << 7)
            accumulate(space[1], space[2], constants.for_tags, i, x, y, tx, ty, weights, tags, u)
        if constants.for_weights.mantissa.shape[0] > 0:
            store(space[0], weights, np.int32(constants.lowest), np.int32(constants.highest), one_sign,
                   constants.coarse, constants.per_synapse, stream_w, first, r)  # fmt: skip
        if constants.for_tags.mantissa.shape[0] > 0:
            store(space[1], tags, np.int32(TAG_MIN), np.int32(TAG_MAX), False, False, constants.per_synapse,
                   stream_t, first, r)  # fmt: skip


@inlined
def engine_step(
    constants: Constants, state: EngineState, pre: Bools | Int32, post: Bools | Int32, time: int, rho_x: float,
    rho_y: float, rounding: float, key: np.uint32, x_history: Int32, y_history: Int32,
) -> None:  # fmt: skip
    """Step `time` (from 1) of one connection: its spikes pre and post of shape [N] and [M], its random numbers."""
    within = time % constants.t_epoch
    ends = within == 0
    if ends:
        within = constants.t_epoch
    _note_spikes(pre, state.x, constants.impulse[0], state.tx, within)
    _note_spikes(post, state.y, constants.impulse[1], state.ty, within)
    if ends:
        per_synapse = constants.per_synapse
        x_key, y_key = stream_key(key, X_STREAM), stream_key(key, Y_STREAM)
        _epoch(state.x, constants.decay[0], constants.impulse[0], state.tx, x_history, rho_x, per_synapse, x_key)
        _epoch(state.y, constants.decay[1], constants.impulse[1], state.ty, y_history, rho_y, per_synapse, y_key)
        u = constants.period > 0 and (time // constants.t_epoch) % constants.period == 0
        _update(constants, state, x_history, y_history, u, rounding, key)
        state.tx[:] = 0
        state.ty[:] = 0


@jit
def engine_steps(
    constants: Constants, state: EngineState, pre: Bools, post: Bools, noise: Noise, first_step: int, x_history: Int32,
    y_history: Int32,
) -> None:  # fmt: skip
    """Run steps first_step + 1, .. ; pre, post of shape [T, N] and [T, M]."""
    for step in range(pre.shape[0]):
        engine_step(
            constants, state, pre[step], post[step], first_step + step + 1, noise.rho_x[step], noise.rho_y[step],
            noise.rounding[step], noise.keys[step], x_history, y_history,
        )  # fmt: skip
