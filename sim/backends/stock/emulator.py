"""Stock processes in integers, exactly as Lava 0.10's fixed-point models compute them: compiled, batched, all cores.

Equations: `neuro.stock.processes`. A network is a `neuro.stock.processes.StockSpec`; each of B sequences starts from
zero state. Checked: tests/contract/test_stock.py, against Lava itself, every spike and final state equal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from neuro.base.arrays import Bools, Int16, Int32, Int64, Integers
from neuro.stock.processes import DECAY_UNITY, LIF, STATE_LIMIT, GradedRelu, SpikeInput, StockSpec
from sim.backends.jit import inlined, jit

INPUT, LEAKY, GRADED = 0, 1, 2
NONE: Mapping[str, Integers] = MappingProxyType({})


class EmulatorPlan(NamedTuple):
    """A network flattened: populations are ranges of one neuron index, projections blocks of one weight buffer."""

    start: Int64  # [P + 1]
    kind: Int64  # [P]
    input_start: Int64  # [P] first column of the input for an input population
    keep_u: Int64  # [P] 4096 - (current_decay + 1)
    keep_v: Int64  # [P] 4096 - voltage_decay
    threshold: Int64  # [P] in units of v, or of the graded payload
    bias: Int32  # [N] by neuron
    interval: Int64  # [P]
    offset: Int64  # [P] reset_offset mod interval
    source: Int64  # [R]
    target: Int64  # [R]
    block: Int64  # [R]
    shift: Int64  # [R] left if positive
    graded: Bools  # [R] whether payloads count, or spikes only
    transmits: Bools  # [R]
    weights: Int16


@dataclass(frozen=True, eq=False)
class StockRun:
    """What happened: by population, spikes (payloads) of shape [B, T, N] and, at the end, u and v of shape [B, N].

    u and v are zero for populations that have none.
    """

    spikes: dict[str, Int32]
    u: dict[str, Int32]
    v: dict[str, Int32]


def make_emulator_plan(spec: StockSpec) -> EmulatorPlan:
    """Flatten `spec`."""
    neurons = [population.neuron for population in spec.populations]
    sizes = [population.size for population in spec.populations]
    index = {population.name: i for i, population in enumerate(spec.populations)}
    inputs = np.cumsum([0, *(n if isinstance(m, SpikeInput) else 0 for n, m in zip(sizes, neurons, strict=True))])
    leaky = [neuron if isinstance(neuron, LIF) else LIF() for neuron in neurons]
    thresholds = [n.threshold << 6 if isinstance(n, LIF) else getattr(n, "threshold", 0) for n in neurons]
    kinds = [INPUT if isinstance(n, SpikeInput) else GRADED if isinstance(n, GradedRelu) else LEAKY for n in neurons]
    blocks = [projection.weights.size for projection in spec.projections]

    def integers(values: object) -> Int64:
        return np.array(values, dtype=np.int64)

    return EmulatorPlan(
        start=integers([0, *np.cumsum(sizes)]),
        kind=integers(kinds),
        input_start=integers(inputs[:-1]),
        keep_u=integers([DECAY_UNITY - (neuron.current_decay + 1) for neuron in leaky]),
        keep_v=integers([DECAY_UNITY - neuron.voltage_decay for neuron in leaky]),
        threshold=integers(thresholds),
        bias=np.repeat([neuron.bias for neuron in leaky], sizes).astype(np.int32),
        interval=integers([neuron.reset_interval for neuron in leaky]),
        offset=integers([n.reset_offset % n.reset_interval if n.reset_interval else 0 for n in leaky]),
        source=integers([index[projection.source] for projection in spec.projections]),
        target=integers([index[projection.target] for projection in spec.projections]),
        block=integers([0, *np.cumsum(blocks)][:-1]),
        shift=integers([projection.exponent for projection in spec.projections]),
        graded=np.array([projection.message_bits > 0 for projection in spec.projections], dtype=np.bool_),
        transmits=np.array([projection.transmits for projection in spec.projections], dtype=np.bool_),
        weights=np.concatenate([np.zeros(0), *(p.effective.ravel() for p in spec.projections)]).astype(np.int16),
    )


@inlined
def decayed(x: np.int32, keep: np.int32) -> np.int32:
    """The value sign(x) * (|x| * keep >> 12) in 32 bits, for |x| < 2**31 and 0 <= keep <= 4096."""
    magnitude = np.int32(abs(x))
    low = np.int32(np.int32(np.int32(magnitude & 4095) * keep) >> 12)
    kept = np.int32(np.int32(np.int32(magnitude >> 12) * keep) + low)
    return kept if x >= 0 else np.int32(-kept)


@inlined
def add_row(part: Int32, row: Int16, payload: np.int32, graded: bool) -> None:
    """part_j += payload * row_j, or row_j for a binary spike."""
    if graded:
        for j in range(part.shape[0]):
            part[j] = np.int32(part[j] + np.int32(payload * np.int32(row[j])))
    else:
        for j in range(part.shape[0]):
            part[j] = np.int32(part[j] + np.int32(row[j]))


@inlined
def deliver(plan: EmulatorPlan, sent: Int32, sums: Int32, accumulated: Int32) -> None:
    """Fill `accumulated` with what the spikes `sent` at this step bring at the next, projection by projection."""
    accumulated[:] = 0
    for r in range(plan.source.shape[0]):
        if not plan.transmits[r]:
            continue
        first, last = plan.start[plan.source[r]], plan.start[plan.source[r] + 1]
        begin, end = plan.start[plan.target[r]], plan.start[plan.target[r] + 1]
        n_post = end - begin
        total = sums[:n_post]
        total[:] = 0
        for i in range(first, last):
            if sent[i] != 0:
                at = plan.block[r] + (i - first) * n_post
                add_row(total, plan.weights[at : at + n_post], sent[i], plan.graded[r])
        into, shift = accumulated[begin:end], plan.shift[r]
        left, right = np.int32(max(shift, 0) & 31), np.int32(max(-shift, 0) & 31)
        for j in range(n_post):
            into[j] = np.int32(into[j] + np.int32(np.int32(total[j] << left) >> right))


@inlined
def _lif(
    plan: EmulatorPlan, population: int, time: int, bias: Int32, a: Int32, u: Int32, v: Int32, spikes: Int32
) -> None:
    """One step of a LIF population; sums beyond 32 bits wrap, as in Lava."""
    interval = plan.interval[population]
    keep_u, keep_v = np.int32(plan.keep_u[population]), np.int32(plan.keep_v[population])
    threshold, limit = np.int32(plan.threshold[population]), np.int32(STATE_LIMIT)
    if interval > 0 and time % interval == plan.offset[population]:
        u[:] = 0
        v[:] = 0
    for j in range(a.shape[0]):
        current = np.int32(decayed(u[j], keep_u) + np.int32(a[j] << 6))
        if current > limit:
            current = np.int32(current - 2 * limit)
        elif current <= -limit:
            current = np.int32(current + 2 * limit)
        voltage = np.int32(np.int32(decayed(v[j], keep_v) + current) + bias[j])
        voltage = min(max(voltage, np.int32(-limit + 1)), np.int32(limit - 1))
        fired = np.int32(voltage > threshold)
        spikes[j] = fired
        u[j] = current
        v[j] = np.int32(voltage * np.int32(1 - fired))


@inlined
def advance(
    plan: EmulatorPlan, time: int, inputs: Int32, bias: Int32, u: Int32, v: Int32, accumulated: Int32, spikes: Int32
) -> None:
    """Step `time` (from 1) of every neuron, from its bias and the input accumulated so far; writes what they send."""
    for population in range(plan.kind.shape[0]):
        first, last = plan.start[population], plan.start[population + 1]
        out = spikes[first:last]
        if plan.kind[population] == INPUT:
            column = plan.input_start[population]
            for j in range(last - first):
                out[j] = inputs[column + j]
        elif plan.kind[population] == LEAKY:
            a, current, voltage = accumulated[first:last], u[first:last], v[first:last]
            _lif(plan, population, time, bias[first:last], a, current, voltage, out)
        else:
            for j in range(last - first):
                a = accumulated[first + j]
                out[j] = a if a > plan.threshold[population] else np.int32(0)


@jit
def emulator_steps(
    plan: EmulatorPlan, inputs: Int32, bias: Int32, u: Int32, v: Int32, accumulated: Int32, sums: Int32, spikes: Int32
) -> None:
    """Run one sequence of T steps from zero state.

    inputs of shape [T, inputs]; bias of shape [N]; u, v, accumulated, sums of shape [N], all zero; spikes of shape
    [T, N], written.
    """
    for step in range(inputs.shape[0]):
        advance(plan, step + 1, inputs[step], bias, u, v, accumulated, spikes[step])
        deliver(plan, spikes[step], sums, accumulated)


def emulate(
    spec: StockSpec,
    inputs: Integers,
    threads: int | None = None,
    biases: Mapping[str, Integers] = NONE,
) -> StockRun:
    """Run B independent sequences.

    Args:    inputs of shape [B, T, n]: payloads of all SpikeInput populations side by side, in the order of the spec;
             biases, mantissas of shape [B, N] by biased population (`StockSpec.biased`).
    Returns: StockRun.
    Raises:  UserError if inputs or biases have another shape, or exceed the payload limit or 13 bits.
    """
    spec.check_inputs(inputs)
    spec.check_biases(biases, len(inputs))
    plan, (batch, steps, _) = make_emulator_plan(spec), inputs.shape
    n_neurons, bias = int(plan.start[-1]), _biases(spec, plan, biases, batch)
    payloads = np.ascontiguousarray(inputs, dtype=np.int32)
    u, v = (np.zeros((batch, n_neurons), dtype=np.int32) for _ in range(2))
    spikes = np.zeros((batch, steps, n_neurons), dtype=np.int32)
    threads = threads or os.cpu_count() or 1

    def work(part: int) -> None:
        accumulated, sums = (np.zeros(n_neurons, dtype=np.int32) for _ in range(2))
        for image in range(part, batch, threads):
            accumulated[:] = 0  # nothing was sent before the first step
            emulator_steps(plan, payloads[image], bias[image], u[image], v[image], accumulated, sums, spikes[image])

    if threads == 1 or batch == 1:
        for part in range(threads):
            work(part)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
    ranges = {p.name: slice(plan.start[i], plan.start[i + 1]) for i, p in enumerate(spec.populations)}
    return StockRun(
        {name: spikes[:, :, where] for name, where in ranges.items()},
        {name: u[:, where] for name, where in ranges.items()},
        {name: v[:, where] for name, where in ranges.items()},
    )


def _biases(spec: StockSpec, plan: EmulatorPlan, biases: Mapping[str, Integers], batch: int) -> Int32:
    """The bias that v of every neuron gets at every step, by sequence, of shape [B, N]."""
    values = np.repeat(plan.bias[None], batch, axis=0)
    for index, population in enumerate(spec.populations):
        if population.name in biases and isinstance(population.neuron, LIF):
            mantissas, exponent = biases[population.name].astype(np.int32), population.neuron.bias_exponent
            shifted = mantissas << exponent if exponent >= 0 else mantissas >> -exponent
            values[:, plan.start[index] : plan.start[index + 1]] = shifted
    return values
