"""What graded networks of stock processes share: presentation, reach of 32-bit sums, readout."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neuro.base.arrays import Int32, Integers, Reals
from neuro.base.errors import UserError
from neuro.base.fixed_point import INT32_MAX
from neuro.stock.processes import STATE_LIMIT, GradedRelu, SpikeInput, StockProjection, StockSpec

FORCE, ROUNDING = "force", "rounding"  # populations: the output force, and what shifts lose
MESSAGE_BITS = 24


def compensation(target: str, size: int, projections: list[StockProjection]) -> StockProjection:
    """Give back, as a whole number of units, what the right shifts of all synapses onto `target` lose on average."""
    lost = sum(0.5 - 2.0 ** (p.exponent - 1) for p in projections if p.target == target and p.exponent < 0)
    weights = np.full((1, size), round(lost), dtype=np.int16)
    return StockProjection(f"{ROUNDING}->{target}", ROUNDING, target, weights, sign_mode="excitatory")


def state_limit(stock: StockSpec) -> int:
    """The largest state, in state units, up to which no sum at any neuron can leave 32 bits, nor a message 24.

    Sound step by step: while all states so far are within it, the next ones are computed without a wrap.
    """
    limit = STATE_LIMIT - 1
    for population in stock.populations:
        incoming = [p for p in stock.projections if p.target == population.name]
        totals = np.zeros((2, population.size))
        for projection in incoming:
            neuron = next(p.neuron for p in stock.populations if p.name == projection.source)
            graded = isinstance(neuron, GradedRelu)
            sums = np.abs(projection.effective.astype(np.float64)).sum(axis=0) * (1 if graded else neuron.payload_limit)
            before_shift = np.stack([0 * sums, sums] if graded else [sums, 0 * sums])
            limit = min(limit, _largest_within(before_shift))
            totals += before_shift * 2.0**projection.exponent
        totals[0] += len(incoming)  # each shift rounds by less than a unit
        limit = min(limit, _largest_within(totals))
    return limit


def _largest_within(totals: Reals) -> int:
    """Largest L >= 0 with totals[0] + totals[1] * L <= INT32_MAX for every neuron; -1 if there is none."""
    room = INT32_MAX - totals[0]
    if room.min() < 0:
        return -1
    slopes = np.maximum(totals[1], 1e-9)
    return int(min(np.floor(room / slopes).min(), STATE_LIMIT - 1))


def check_reach(stock: StockSpec, one: int, upper: float) -> None:
    """Raise UserError unless states up to the real value `upper` are within `state_limit`; 1 is `one` state units."""
    limit, needed = state_limit(stock), round(upper * one)
    if limit < needed:
        raise UserError(
            f"graded network: sums stay within 32 bits for states up to {limit} only, {upper:g} is {needed}; "
            "lower state_bits, or the largest state"
        )


def present(stock: StockSpec, payloads: Integers, steps: int, forces: Integers | None = None) -> Int32:
    """Inputs of shape [B, steps, n_inputs] that send the same image at every step.

    Args:   payloads of shape [B, N] of the first input population; forces of shape [B, steps, K], payloads of "force",
            None for none. All other inputs are always on and send their payload_limit.
    Raises: UserError if the shapes do not fit.
    """
    inputs = [p for p in stock.populations if isinstance(p.neuron, SpikeInput)]
    batch, trains = len(payloads), []
    for index, population in enumerate(inputs):
        shape = (batch, steps, population.size)
        if index == 0:
            _check_shape("payloads", payloads, (batch, population.size))
            train = np.broadcast_to(payloads[:, None], shape)
        elif population.name == FORCE:
            train = np.zeros(shape, dtype=np.int32) if forces is None else forces
            _check_shape("forces", train, shape)
        else:
            train = np.full(shape, population.neuron.payload_limit)
        trains.append(train.astype(np.int32))
    return np.concatenate(trains, axis=2)


def _check_shape(name: str, values: Integers, shape: tuple[int, ...]) -> None:
    if values.shape != shape or not np.issubdtype(values.dtype, np.integer):
        raise UserError(f"{name}: {values.dtype} of shape {values.shape}; needs integers of shape {shape}")


def readout(stock: StockSpec, spikes: Mapping[str, Integers], name: str, steps: int) -> Int32:
    """The state of population `name`, of shape [B, N] in state units, once `steps` steps have passed.

    spikes: what all populations sent, of shape [B, T, N] by name.
    Raises: UserError if any state is beyond `state_limit`: the network ran away, and sums may have wrapped.
    """
    limit = state_limit(stock)
    for population in stock.populations:
        if isinstance(population.neuron, GradedRelu):
            largest = int(spikes[population.name].max(initial=0))
            if largest > limit:
                raise UserError(
                    f"population {population.name}: a state reached {largest}, sums are safe up to {limit}; "
                    "lower state_bits, or train with smaller couplings"
                )
    states: Int32 = spikes[name][:, steps - 1].astype(np.int32)
    return states
