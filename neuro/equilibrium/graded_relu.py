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
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from neuro.base.arrays import Array, Bools, Int32, Int64, Integers, Reals, Spikes
from neuro.base.checks import Range, require_integers, require_ranges
from neuro.base.errors import UserError
from neuro.base.fixed_point import quantize
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec
from neuro.stock.family import StockFamily
from neuro.stock.graded import FORCE, MESSAGE_BITS, ROUNDING, check_reach, compensation, present, readout
from neuro.stock.processes import GradedRelu, SpikeInput, StockPopulation, StockProjection, StockSpec

FORCE_BITS = 12  # the force 1 is 2**12 in its payload, so that a payload reaches 8
LARGEST_FORCE = 2**15 - 1


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
        owner, values = "graded design", vars(self)
        require_integers(owner, **{name: value for name, value in values.items() if name != "nudge"})
        require_ranges(owner, values, state_bits=Range(1, 22), step_shift=Range(1, 4))
        require_ranges(owner, values, free_steps=Range(1, 4096), nudged_steps=Range(1, 4096))
        Range(0.0, 1.0, open_below=True).require(owner, nudge=self.nudge)

    @property
    def one(self) -> int:
        """The real value 1 in state units."""
        return 1 << self.state_bits

    @property
    def all_steps(self) -> int:
        """Steps of the free and both nudged phases."""
        return self.free_steps + 2 * self.nudged_steps


def open_boxes(spec: NetworkSpec, upper: float) -> NetworkSpec:
    """The network with the box of every moving population set to [0, upper], real units: a ReLU below `upper`."""

    def opened(neuron: SigmaDelta) -> SigmaDelta:
        return replace(neuron, lower=0, upper=round(upper * neuron.one))

    populations = tuple(
        replace(p, neuron=opened(p.neuron)) if isinstance(p.neuron, SigmaDelta) else p for p in spec.populations
    )
    return replace(spec, populations=populations)


def graded_from(spec: NetworkSpec, design: GradedDesign) -> StockSpec:
    """The network of stock processes with the weights of `spec`, bit for bit, and its names.

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


def output_forces(design: GradedDesign, outputs: Integers, targets: Reals) -> Int32:
    """The forces of all three phases, of shape [B, T, K]: none, then +, then - nudge (target - free output).

    Args: outputs, the free equilibrium, of shape [B, K] in state units; targets of shape [B, K], real (1: the label).
    """
    force = quantize(design.nudge * (targets - outputs / design.one), FORCE_BITS, -LARGEST_FORCE, LARGEST_FORCE)
    signs = np.repeat([0, 1, -1], [design.free_steps, design.nudged_steps, design.nudged_steps])
    forces: Int32 = (force[:, None] * signs[None, :, None]).astype(np.int32)
    return forces


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


@dataclass(frozen=True, eq=False)
class GradedNetwork(StockFamily):
    """A network of GradedRelu populations that classifies; `graph` holds the processes that run.

    The weights live in a `NetworkSpec`: boxes opened above, trained as sigma-delta units.
    Raises: UserError on construction if the chip's 32-bit sums cannot hold it (`graded_from`).
    """

    spec: NetworkSpec
    design: GradedDesign
    graph: StockSpec = field(init=False)
    kind: ClassVar[str] = "graded-relu"
    title: ClassVar[str] = "graded network"
    nudge_needs_output: ClassVar[bool] = True
    rule = "graded"

    def __post_init__(self) -> None:
        object.__setattr__(self, "graph", graded_from(self.spec, self.design))
        for name in ("encoder", "input", "output"):
            object.__setattr__(self, name, getattr(self.spec, name))
        super().__post_init__()

    @property
    def trained(self) -> NetworkSpec:
        """The sigma-delta network whose weights are those of this one."""
        return self.spec

    @property
    def free_steps(self) -> int:
        """Steps of an inference."""
        return self.design.free_steps

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return self.spec.image_shape

    @cached_property
    def moving(self) -> tuple[StockPopulation, ...]:
        """Hidden and output populations: what an inference computes."""
        return tuple(p for p in self.populations if isinstance(p.neuron, GradedRelu))

    def with_weights(self, weights: Mapping[str, Array]) -> GradedNetwork:
        """The network with new int8 weights in the named projections of its spec."""
        return replace(self, spec=self.spec.with_weights(weights))

    def _with_projections(self, projections: tuple[StockProjection, ...]) -> GradedNetwork:
        raise UserError("graded network: its processes follow from its spec; give the weights of the spec")

    def phases(self) -> Int64:
        """The phase of each step, of shape [steps]: 0 free, 1 and 2 nudged."""
        lengths = (self.design.free_steps, self.design.nudged_steps, self.design.nudged_steps)
        return np.repeat(np.arange(3), lengths).astype(np.int64)

    def scores(self, spikes: Spikes) -> Int32:
        """The output state at the end of the free phase, of shape [B, K], in state units.

        Raises: UserError if some state ran away.
        """
        return readout(self.graph, spikes, self.output, self.free_steps)

    def settled(self, spikes: Spikes) -> Bools:
        """Whether no state moved in the last step of the free phase by more than a unit, of shape [B]."""
        last, end = (slice(None), self.free_steps - 1), self.free_steps - 2
        moved = [np.abs(spikes[p.name][last] - spikes[p.name][:, end]).max(axis=1) for p in self.moving]
        return np.asarray(np.max(moved, axis=0) <= 1)

    def signals(self, spikes: Spikes) -> dict[str, Reals]:
        """The activations sent in the last step, of shape [B, N] by name."""
        return {p.name: spikes[p.name][:, -1].astype(np.float64) for p in self.moving}

    @property
    def inference(self) -> StockSpec:
        """The graph, which classifies without forces."""
        return self.graph

    @property
    def still(self) -> StockSpec:
        """The graph, which runs through all phases."""
        return self.graph

    def free_inputs(self, payloads: Integers) -> Int32:
        """The input of the graph in the free phase, for payloads of shape [B, N]."""
        return present(self.graph, payloads, self.design.free_steps)

    def phase_inputs(self, payloads: Integers, targets: Integers, free_outputs: Integers | None) -> Int32:
        """The input through all phases; targets of shape [B, K] 0 or 1, free_outputs the free equilibrium."""
        if free_outputs is None:
            raise ValueError("graded network: the force depends on the free output; give it")
        forces = output_forces(self.design, free_outputs, targets.astype(np.float64))
        return present(self.graph, payloads, self.design.all_steps, forces)
