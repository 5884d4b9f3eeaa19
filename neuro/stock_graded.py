"""Equilibrium networks made of stock processes alone: the state of a neuron is the graded message it sends.

With e = 2**-step_shift and every synapse delaying by one step, a GradedRelu population with a synapse onto itself is

    v(t + 1) = relu((1 - e) v(t) + e (W s(t) + b + f(t)))        v in units of 2**-state_bits, no ceiling

which descends the energy of `neuro.equilibrium` on v >= 0. The image and the bias are sent anew at every step: holding
them in self-connected populations costs more synaptic operations. f is the output force of the nudged phases, constant
during each: +-nudge (target - free output), the cost linearised about the free equilibrium.

Every right shift rounds towards minus infinity, half a unit on average; an always-on input gives it back.
Source: Scellier & Bengio 2017; Laborieux et al. 2021; sparse codes: Rozell et al. 2008, Beck & Teboulle 2009 (ISTA).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neuro.errors import UserError, require_integers
from neuro.fixed_point import INT32_MAX, WEIGHT_BITS, quantize, weight_limit
from neuro.neurons import SigmaDelta, Source
from neuro.quantize import exponent_for
from neuro.spec import NetworkSpec, Projection
from neuro.stock import STATE_LIMIT, GradedRelu, SpikeInput, StockPopulation, StockProjection, StockSpec

MESSAGE_BITS = 24
FORCE_BITS = 12  # the force 1 is 2**12 in its payload, so that a payload reaches 8
FORCE, ROUNDING = "force", "rounding"
LARGEST_WEIGHT = weight_limit(WEIGHT_BITS)

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

    state_bits: int = 14
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
    for population in moving:
        projections.append(_hold(population.name, population.size, design))
    one_to_one = np.eye(spec.n_classes, dtype=np.int16)
    shift = design.state_bits - FORCE_BITS - design.step_shift
    projections.append(
        StockProjection("force->output", FORCE, spec.output, one_to_one, shift, 8, "excitatory", MESSAGE_BITS)
    )
    projections += [_compensation(p.name, p.size, projections) for p in moving]
    stock = StockSpec(
        (
            *(StockPopulation(p.name, p.shape, SpikeInput(_largest_payload(p.neuron))) for p in (first, *others)),
            StockPopulation(FORCE, (spec.n_classes,), SpikeInput(2**15 - 1)),
            StockPopulation(ROUNDING, (1,), SpikeInput()),
            *(StockPopulation(p.name, p.shape, GradedRelu()) for p in moving),
        ),
        tuple(projections),
    )
    _check_reach(stock, design, max(p.neuron.upper / p.neuron.one for p in moving if isinstance(p.neuron, SigmaDelta)))
    return stock


def _largest_payload(neuron: Source | SigmaDelta) -> int:
    return neuron.payload_limit if not isinstance(neuron, Source) or neuron.constant is None else neuron.constant


def _check_expressible(name: str, neuron: Source | SigmaDelta) -> None:
    if isinstance(neuron, SigmaDelta):
        if neuron.lower != 0:
            raise UserError(f"population {name}: box from {neuron.lower}; a graded ReLU starts at 0: use open_boxes")
    elif neuron.constant is None or neuron.constant < 1:
        raise UserError(f"population {name}: a second source must be always on, with a constant of at least 1")


def _synapses(spec: NetworkSpec, design: GradedDesign, projection: Projection) -> StockProjection:
    """e W of one projection. Mixed-sign weights live on even integers, so int8 weights are doubled."""
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


def _compensation(target: str, size: int, projections: list[StockProjection]) -> StockProjection:
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


def _check_reach(stock: StockSpec, design: GradedDesign, upper: float) -> None:
    limit, needed = state_limit(stock), round(upper * design.one)
    if limit < needed:
        raise UserError(
            f"graded network: sums stay within 32 bits for states up to {limit} only, the box of the network reaches "
            f"{needed}; lower state_bits or the upper end of the box"
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
    force = quantize(design.nudge * (targets - outputs / design.one), FORCE_BITS, -(2**15) + 1, 2**15 - 1)
    signs = np.repeat([0, 1, -1], [design.free_steps, design.nudged_steps, design.nudged_steps])
    return (force[:, None] * signs[None, :, None]).astype(np.int32)


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
    return spikes[name][:, steps - 1].astype(np.int32)


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


def sparse_coder(
    dictionary: Reals, sparsity_threshold: float, input_bits: int = 7, state_bits: int = 14, reach: float = 4.0
) -> StockSpec:
    """Return a network that relaxes to the non-negative sparse code of its input (LCA as ISTA).

        a <- relu(a + e (D^T x - G a - threshold)),   G = D^T D,   e = 1 / |G|

    whose fixed point minimises 1/2 |x - D a|^2 + threshold sum a over a >= 0.

    Args:    dictionary D of shape [N, M], one atom a column; sparsity_threshold (lambda), real; inputs are payloads of
             2**-input_bits, |x| <= 1; the code is in units of 2**-state_bits; reach, the largest code, real.
    Returns: populations "input", "threshold", "rounding" and "code"; inputs from `present`.
    Raises:  UserError if D is no matrix, or codes up to `reach` could overflow.
    """
    if dictionary.ndim != 2 or not np.isfinite(dictionary).all() or not dictionary.any():
        raise UserError(f"dictionary of shape {dictionary.shape}: needs a finite matrix [pixels, atoms], not all zero")
    size = dictionary.shape[1]
    gram = dictionary.T @ dictionary
    step = 1.0 / float(np.linalg.norm(gram, 2))
    level = sparsity_threshold * 2.0**input_bits
    projections = [
        _real_synapses("input", "code", step * dictionary, state_bits - input_bits),
        _real_synapses("threshold", "code", np.full((1, size), -step * level), state_bits - input_bits),
        _real_synapses("code", "code", -step * gram, 0, "inhibition"),
        StockProjection("hold", "code", "code", np.eye(size, dtype=np.int16), 0, 8, "excitatory", MESSAGE_BITS),
    ]
    projections.append(_compensation("code", size, projections))
    return StockSpec(
        (
            StockPopulation("input", (len(dictionary),), SpikeInput(2**input_bits)),
            StockPopulation("threshold", (1,), SpikeInput()),
            StockPopulation(ROUNDING, (1,), SpikeInput()),
            StockPopulation("code", (size,), GradedRelu()),
        ),
        tuple(projections),
    )


def _real_synapses(source: str, target: str, weights: Reals, shift: int, name: str = "") -> StockProjection:
    """Synapses nearest to real weights times 2**shift, on the finest grid that holds them."""
    exponent = exponent_for(float(np.abs(weights).max()), LARGEST_WEIGHT, 15 + shift)
    integers = 2 * quantize(weights, exponent, -LARGEST_WEIGHT, LARGEST_WEIGHT)
    return StockProjection(
        name or f"{source}->{target}", source, target, integers, shift - exponent - 1, message_bits=MESSAGE_BITS
    )
