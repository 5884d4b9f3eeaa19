"""Equilibrium networks made of stock processes alone: the state of a neuron is the graded message it sends.

With e = 2**-step_shift and every synapse delaying by one step, a GradedRelu population with a synapse onto itself is

    v(t + 1) = relu((1 - e) v(t) + e (W s(t) + b + f(t)))        v in units of 2**-state_bits, no ceiling

which descends the energy of `neuro.equilibrium.sigma_delta` on v >= 0. f is the output force of the nudged phases,
constant during each: +-nudge (target - free output), the cost linearised about the free equilibrium.

Image and bias are sent anew at every step. With dense synapses that is the cheaper exact way: active pixels x hidden
operations a step (MNIST 150 x 256), against 2 hidden x hidden if two populations, one a sign, held the drive.

Every right shift rounds towards minus infinity, half a unit on average; an always-on input gives it back, which matters
at 10 state bits and below: at 8, digits, the mean error of hidden states is 0.5 units instead of -1.7.
Source: Scellier & Bengio 2017; Laborieux et al. 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neuro.base.errors import UserError, require_integers
from neuro.base.fixed_point import INT32_MAX, quantize
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.sigma_delta import NetworkSpec, Projection
from neuro.stock.processes import STATE_LIMIT, GradedRelu, SpikeInput, StockPopulation, StockProjection, StockSpec

MESSAGE_BITS = 24
FORCE_BITS = 12  # the force 1 is 2**12 in its payload, so that a payload reaches 8
FORCE, ROUNDING = "force", "rounding"
LARGEST_FORCE = 2**15 - 1

Integers = npt.NDArray[np.integer[Any]]
Int32 = npt.NDArray[np.int32]
Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GradedDesign:
    """How a network relaxes on stock processes.

    state_bits:                the real value 1 is 2**state_bits in a state; 1..22.
    step_shift:                step size e = 2**-step_shift; 1..4.
    free_steps, nudged_steps:  steps of the free phase, and of each nudged phase.
    nudge:                     nudge strength, dimensionless, in (0, 1].
    """

    state_bits: int = 12
    step_shift: int = 1
    free_steps: int = 30
    nudged_steps: int = 20
    nudge: float = 0.25

    def __post_init__(self) -> None:
        ranges = {"state_bits": (1, 22), "step_shift": (1, 4), "free_steps": (1, 4096), "nudged_steps": (1, 4096)}
        for name, (lowest, highest) in ranges.items():
            value = getattr(self, name)
            require_integers("graded design", **{name: value})
            if not lowest <= value <= highest:
                raise UserError(f"graded design: {name} {value} outside {lowest}..{highest}")
        if not 0 < self.nudge <= 1:
            raise UserError(f"graded design: nudge {self.nudge} outside (0, 1]")

    @property
    def one(self) -> int:
        """The real value 1 in state units."""
        return 1 << self.state_bits

    @property
    def all_steps(self) -> int:
        """Steps of the free and both nudged phases."""
        return self.free_steps + 2 * self.nudged_steps


def open_boxes(spec: NetworkSpec, upper: float) -> NetworkSpec:
    """Return `spec` with the box of every moving population set to [0, upper], real units: a ReLU below `upper`."""

    def opened(neuron: SigmaDelta) -> SigmaDelta:
        return replace(neuron, lower=0, upper=round(upper * neuron.one))

    populations = tuple(
        replace(p, neuron=opened(p.neuron)) if isinstance(p.neuron, SigmaDelta) else p for p in spec.populations
    )
    return replace(spec, populations=populations)


def graded_from(spec: NetworkSpec, design: GradedDesign) -> StockSpec:
    """Return the network of stock processes with the weights of `spec`, bit for bit, and its names.

    Besides: "force" onto the output, "rounding", and a synapse "X->X" of each moving population onto itself.
    Raises:  UserError unless every box is [0, upper], and states up to the highest `upper` leave all sums in 32 bits.
    """
    first = spec.population(spec.input)
    others = [p for p in spec.populations if isinstance(p.neuron, Source) and p is not first]
    moving = [p for p in spec.populations if isinstance(p.neuron, SigmaDelta)]
    for population in (*others, *moving):
        _check_expressible(population.name, population.neuron)
    projections = [_synapses(spec, design, projection) for projection in spec.projections]
    projections += [_hold(population.name, population.size, design) for population in moving]
    projections.append(_push(spec, design))
    projections += [compensation(p.name, p.size, projections) for p in moving]
    stock = StockSpec(
        (
            *(StockPopulation(p.name, p.shape, SpikeInput(_largest_payload(p.neuron))) for p in (first, *others)),
            StockPopulation(FORCE, (spec.n_classes,), SpikeInput(LARGEST_FORCE)),
            StockPopulation(ROUNDING, (1,), SpikeInput()),
            *(StockPopulation(p.name, p.shape, GradedRelu()) for p in moving),
        ),
        tuple(projections),
    )
    boxes = [p.neuron.upper / p.neuron.one for p in moving if isinstance(p.neuron, SigmaDelta)]
    check_reach(stock, design.one, max(boxes))
    return stock


def _largest_payload(neuron: Source | SigmaDelta) -> int:
    return neuron.payload_limit if not isinstance(neuron, Source) or neuron.constant is None else neuron.constant


def _check_expressible(name: str, neuron: Source | SigmaDelta) -> None:
    if isinstance(neuron, SigmaDelta):
        if neuron.lower != 0:
            raise UserError(f"population {name}: box from {neuron.lower}; a graded ReLU starts at 0: use open_boxes")
    elif neuron.constant is None or neuron.constant < 1:
        raise UserError(
            f"population {name}: constant {neuron.constant}; a graded network needs at least 1: flip weights"
        )


def _synapses(spec: NetworkSpec, design: GradedDesign, projection: Projection) -> StockProjection:
    """Synapses that transmit e W. Mixed-sign weights live on even integers, so int8 weights are doubled."""
    source = spec.population(projection.source).neuron
    source_bits = source.activation_bits if isinstance(source, Source) else design.state_bits
    exponent = design.state_bits - source_bits - projection.exponent - design.step_shift - 1
    if not -16 <= exponent <= 16:
        raise UserError(
            f"projection {projection.name}: needs a shift of {exponent}, a synapse holds -16..16; "
            "change the exponent of its weights or state_bits"
        )
    binary = isinstance(source, Source) and _largest_payload(source) == 1
    return StockProjection(
        projection.name,
        projection.source,
        projection.target,
        2 * spec.weights_of(projection).astype(np.int16),
        exponent,
        message_bits=0 if binary else MESSAGE_BITS,
    )


def _hold(name: str, size: int, design: GradedDesign) -> StockProjection:
    """The synapses by which a population keeps (1 - e) of its state."""
    weights = np.eye(size, dtype=np.int16) * np.int16((1 << design.step_shift) - 1)
    return StockProjection(f"{name}->{name}", name, name, weights, -design.step_shift, 8, "excitatory", MESSAGE_BITS)


def _push(spec: NetworkSpec, design: GradedDesign) -> StockProjection:
    """The synapses by which e f reaches the output, one to one."""
    one_to_one, shift = np.eye(spec.n_classes, dtype=np.int16), design.state_bits - FORCE_BITS - design.step_shift
    name = f"{FORCE}->{spec.output}"
    return StockProjection(name, FORCE, spec.output, one_to_one, shift, 8, "excitatory", MESSAGE_BITS)


def compensation(target: str, size: int, projections: list[StockProjection]) -> StockProjection:
    """Give back, as a whole number of units, what the right shifts of all synapses onto `target` lose on average."""
    lost = sum(0.5 - 2.0 ** (p.exponent - 1) for p in projections if p.target == target and p.exponent < 0)
    weights = np.full((1, size), round(lost), dtype=np.int16)
    return StockProjection(f"{ROUNDING}->{target}", ROUNDING, target, weights, sign_mode="excitatory")


def state_limit(stock: StockSpec) -> int:
    """Return the largest state, in state units, up to which no sum at any neuron can leave 32 bits, nor a message 24.

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
    """Return inputs of shape [B, steps, n_inputs] that send the same image at every step.

    Args:   payloads of shape [B, N] of the first input population; forces of shape [B, steps, K], payloads of "force",
            None for none. All other inputs are always on and send their payload_limit.
    Raises: UserError if the shapes do not fit.
    """
    inputs = [p for p in stock.populations if isinstance(p.neuron, SpikeInput)]
    batch, parts = len(payloads), []
    for index, population in enumerate(inputs):
        shape = (batch, steps, population.size)
        if index == 0:
            _check_shape("payloads", payloads, (batch, population.size))
            part = np.broadcast_to(payloads[:, None], shape)
        elif population.name == FORCE:
            part = np.zeros(shape, dtype=np.int32) if forces is None else forces
            _check_shape("forces", part, shape)
        else:
            part = np.full(shape, population.neuron.payload_limit)
        parts.append(part.astype(np.int32))
    return np.concatenate(parts, axis=2)


def _check_shape(name: str, values: Integers, shape: tuple[int, ...]) -> None:
    if values.shape != shape or not np.issubdtype(values.dtype, np.integer):
        raise UserError(f"{name}: {values.dtype} of shape {values.shape}; needs integers of shape {shape}")


def output_forces(design: GradedDesign, outputs: Integers, targets: Reals) -> Int32:
    """Return forces of shape [B, T, K] of all three phases: none, then +, then - nudge (target - free output).

    Args: outputs, the free equilibrium, of shape [B, K] in state units; targets of shape [B, K], real (1: the label).
    """
    force = quantize(design.nudge * (targets - outputs / design.one), FORCE_BITS, -LARGEST_FORCE, LARGEST_FORCE)
    signs = np.repeat([0, 1, -1], [design.free_steps, design.nudged_steps, design.nudged_steps])
    forces: Int32 = (force[:, None] * signs[None, :, None]).astype(np.int32)
    return forces


def readout(stock: StockSpec, spikes: Mapping[str, Integers], name: str, steps: int) -> Int32:
    """Return the state of population `name`, of shape [B, N] in state units, once `steps` steps have passed.

    spikes: what all populations sent, of shape [B, T, N] by name.
    Raises: UserError if any state is beyond `state_limit`: the network ran away, and sums may have wrapped.
    """
    limit = state_limit(stock)
    for population in stock.populations:
        if isinstance(population.neuron, GradedRelu):
            reached = int(spikes[population.name].max(initial=0))
            if reached > limit:
                raise UserError(
                    f"population {population.name}: a state reached {reached}, sums are safe up to {limit}; "
                    "lower state_bits, or train with smaller couplings"
                )
    states: Int32 = spikes[name][:, steps - 1].astype(np.int32)
    return states


def contrastive_update(spec: NetworkSpec, design: GradedDesign, spikes: Mapping[str, Integers]) -> dict[str, Reals]:
    """Local update of centred equilibrium propagation from a run with `output_forces`, summed over the batch.

    dW = (pre_+ post_+^T - pre_- post_-^T) / (2 nudge)

    Args:    spikes of all populations, of shape [B, T, N], T = free_steps + 2 nudged_steps.
    Returns: dW in real units (-dC/dW as nudge -> 0), of shape [N_source, N_target], by plastic projection.
    """
    end = design.free_steps + design.nudged_steps

    def real(name: str, step: int) -> Reals:
        neuron = spec.population(name).neuron
        bits = neuron.activation_bits if isinstance(neuron, Source) else design.state_bits
        return np.asarray(spikes[name][:, step - 1] * 2.0**-bits, dtype=np.float64)

    updates = {}
    for projection in spec.plastic:
        first, second = (
            real(projection.source, step).T @ real(projection.target, step) for step in (end, end + design.nudged_steps)
        )
        updates[projection.name] = (first - second) / (2 * design.nudge)
    return updates
