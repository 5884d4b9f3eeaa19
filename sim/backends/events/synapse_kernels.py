"""Compiled kernels: one synapse moves. The step is rounded stochastically, the weight saturates, transposes follow.

Per synapse the change dW of one image is a whole number; it is rounded once, with random bits that depend only on
seed, presentation, projection and synapse.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neuro.base.arrays import Index, Int8, Int16, Int32, Int64, UInt32
from sim.backends.events.layout import Plan
from sim.backends.events.maps import DENSE
from sim.backends.jit import inlined
from sim.backends.primitives import shifted
from sim.backends.random_bits import round_shift, synapse_bits

DELTA_GAP = 16  # keeps the rows of delta from falling onto the same cache sets


class Workspace(NamedTuple):
    """Space for the commit of one image; every thread needs its own."""

    moved: UInt32  # [N] post neurons that moved
    value: Int32  # [N] and by how much
    sent: UInt32  # [N] pre neurons that moved; features of one tap whose weights changed
    listed: Int32  # [N] synapses of a column that change; what weights of one tap change by
    step: Int32  # [N] rounded changes of one row or column
    delta: Int32  # [largest share of a block] changes of a matrix, zero between projections
    wide: Int32  # [largest widened kernel] sums of a shared kernel, backward order, zero in between
    wide_forward: Int32  # the same, forward order


class Synapses(NamedTuple):
    """The weights that learn and the rates they learn with."""

    dense: Int8  # see `sim.backends.events.layout.Weights`
    wide: Int16
    full: Int16  # plastic blocks with shadow bits; those without any are not kept up to date
    mantissa: Int64  # [L]
    exponent: Int64  # [L]


def make_workspace(plan: Plan, threads: int) -> Workspace:
    """Zeroed space for one of `threads` threads that share the rows of every projection."""
    n_neurons = int(plan.start[-1])
    rows = -(-plan.size[plan.source] // threads) + DELTA_GAP
    matrices = np.where(plan.kind == DENSE, rows * plan.size[plan.target], 0)
    largest = int(np.diff(plan.wide_start)[plan.plastic].max(initial=0))
    return _workspace(n_neurons, int(matrices[plan.plastic].max(initial=0)), largest)


def _workspace(n_neurons: int, n_changes: int, n_wide: int) -> Workspace:
    value, listed, step = (np.zeros(n_neurons, dtype=np.int32) for _ in range(3))
    moved, sent = np.zeros(n_neurons, dtype=np.uint32), np.zeros(n_neurons, dtype=np.uint32)
    delta, wide, wide_forward = (np.zeros(size, dtype=np.int32) for size in (n_changes, n_wide, n_wide))
    return Workspace(moved, value, sent, listed, step, delta, wide, wide_forward)


NO_WORKSPACE = _workspace(0, 0, 0)  # where nothing learns


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
def make_target(plan: Plan, synapses: Synapses, learner: int, stream: np.uint32) -> Target:
    """The Target of plastic projection `learner` for one image."""
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
def rounded_step(to: Target, index: Index, change: np.int32) -> np.int32:
    """The step rate * change in units of the last shadow bit, rounded stochastically for synapse `index`.

    `fixed_point.stochastic_shift` in 32 bits; `checks.check_rates` makes sure that nothing overflows.
    """
    bits = np.int32(synapse_bits(to.stream, index) & to.mask)
    return shifted(np.int32(np.int32(change * to.gain) + bits), to.down)


@inlined
def move_weight(
    weights: Int8, full: Int16, at: Index, full_at: Index, step: np.int32, limit: int | np.int32, shadow: int
) -> np.int8:
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
def move_and_mirror(plan: Plan, synapses: Synapses, to: Target, row: Index, column: Index, step: np.int32) -> None:
    """W += step at one synapse, and at the same synapse of every transpose."""
    at = row * to.stride + column
    rounded = move_weight(
        synapses.dense, synapses.full, to.block + at, to.full_start + at, step, to.limit, to.shadow
    )  # fmt: skip
    for k in range(to.mirror_start, to.mirror_end):
        mirror = plan.mirror[k]
        synapses.dense[plan.block[mirror] + column * plan.stride[mirror] + row] = rounded
