"""Equilibrium propagation networks: the energy, and layered networks as integer specs.

    E(s) = sum_l 1/2 |s_l|^2 - sum_l b_l.s_l - x.W_0.s_1 - sum_l s_l.W_l.s_{l+1}        C = 1/2 |target - s_L|^2

Free phase: the states relax E. Nudged phases: E + nudge C and E - nudge C. Source: Scellier & Bengio 2017;
Laborieux et al. 2021 (centred nudging).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neuro.base.arrays import Array, Reals
from neuro.base.checks import Range
from neuro.base.convolution import square
from neuro.base.errors import UserError
from neuro.base.fixed_point import WEIGHT_BITS, quantize, weight_limit
from neuro.base.scales import exponent_for, glorot_bound
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.graph import Population
from neuro.spec.layers import ConvolutionalLayer, Layer, check_layers, shapes_of
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.plasticity import learning_rule
from neuro.spec.projection import Projection
from neuro.spec.schedule import Phase, Schedule
from neuro.spec.sigma_delta import NetworkSpec

HEADROOM = 1.5  # how many times its initial bound a weight may grow before it saturates
BIAS_REACH = 0.49  # largest bias
# Gains of hidden layers. Averages over a window vary less than what they average: kernels take twice as much.
COUPLING, COUPLING_MAPS, FIRST_WIDE = 0.25, 0.5, 2.0


@dataclass(frozen=True)
class EquilibriumDesign:
    """Choices from which `build_equilibrium` makes a spec. The defaults suit one hidden layer; see `design_for`.

    The figures below are measured by `python -m benchmarks.design_choices`.

    input_shape, n_classes, hidden: sizes; `hidden` lists the hidden layers from input to output: numbers of neurons,
                        or convolutional layers (`neuro.spec.layers`).
    weight_bits:        bits of a weight, 2..8.
    rule, shadow_bits:  local rule of the projections (`neuro.spec.plasticity`); "y3" applies to the input projection.
    state_bits, activation_bits: the real value 1 is 2**bits in u / in payloads.
    free_steps, nudged_steps:    steps of the free phase and of each nudged phase.
    nudge_multiplier, nudge_shift, step_multiplier, step_shift: nudge strength and step size, m / 2**shift.
                        A step of 7/8 settles faster than 3/4 (88 against 56 % of MNIST images silent after 10 steps)
                        and, unlike 1, damps the two-step oscillation of couplings up to (2 - 7/8) / (7/8) = 1.29.
    output_box:         real box of the output state; hidden states live in [0, 1]. An upper end above 1 lets an output
                        that overshoots its target be corrected: on digits .984 against .982 (validation, 40 splits).
    hidden_gain, output_gain, output_bias: initial weights are Glorot-uniform with these gains; bias of the output.
    layer_gains:        factors of hidden_gain, one for each hidden layer; (): 1.
    exponent_offset:    added to every weight exponent (negative: larger weights fit, on a coarser grid).
    """

    input_shape: tuple[int, ...]
    n_classes: int
    hidden: tuple[Layer, ...] = (256,)
    rule: str = "event"
    shadow_bits: int = 8
    weight_bits: int = WEIGHT_BITS
    state_bits: int = 16
    activation_bits: int = 5
    free_steps: int = 10
    nudged_steps: int = 4
    nudge_multiplier: int = 1
    nudge_shift: int = 1
    step_multiplier: int = 7
    step_shift: int = 3
    output_box: tuple[float, float] = (0.0, 1.5)
    hidden_gain: float = 1.0
    output_gain: float = 0.5
    output_bias: float = 0.25
    layer_gains: tuple[float, ...] = ()
    exponent_offset: int = 0
    encoder: PixelEncoder = field(default_factory=PixelEncoder)

    def __post_init__(self) -> None:
        check_layers(self.hidden)
        if self.n_classes < 2:
            raise UserError(f"{self.n_classes} classes: a classifier needs at least two")
        Range(2, WEIGHT_BITS).require(weight_bits=self.weight_bits)
        gains = Range(0.0, 1e3, open_below=True, open_above=True)
        gains.require(hidden_gain=self.hidden_gain, output_gain=self.output_gain)
        if self.layer_gains and len(self.layer_gains) != len(self.hidden):
            raise UserError(f"layer_gains {self.layer_gains}: give one for each of {len(self.hidden)} hidden layers")

    @property
    def gains(self) -> tuple[float, ...]:
        """Gain of the initial weights of every layer, the output's last."""
        each = self.layer_gains or (1.0,) * len(self.hidden)
        return (*(self.hidden_gain * factor for factor in each), self.output_gain)


def design_for(
    input_shape: tuple[int, ...], n_classes: int, hidden: tuple[Layer, ...], **choices: Any
) -> EquilibriumDesign:
    """The default design for these layers, with `choices` (fields of `EquilibriumDesign`) in place of defaults.

    One all-to-all hidden layer: see `EquilibriumDesign`. Deeper, and with convolutions (`benchmarks.depth`):

    - Layers that settle together must not excite each other into saturation: E is convex, with one equilibrium, while
      the couplings W between moving layers have norms that leave 1 - |W| positive. An all-to-all Glorot matrix of gain
      1 has a norm of up to 2, and then nothing is learned; COUPLING makes it 1/2.
    - Three hidden layers take twice the steps of two to settle.
    - The output is wide and nearly linear, the nudge weak, spikes finer: the error has to travel through more layers.
    - Couplings grow while they learn. Updated in parallel, they oscillate at a step of 7/8 beyond a norm of 1.29: a
      convolutional network on MNIST fell from .967 to chance in its second epoch. A step of 1/2 bears norms up to 3;
      at 3/4, up to 1.67, training accuracy still fell once. And couplings learn at less than half the rate of the
      first layer (`sim.training.tune`).
    - One convolutional layer has no coupling to another: nudge and output box as with one all-to-all hidden layer
      (MNIST, two passes over 20,000 images, 64 kernels of 9 x 9: .985 against .978 of 3,000 validation images; after
      one pass over 10,000 there is no difference).
    """
    deep: dict[str, Any] = {}
    convolutional = any(isinstance(layer, ConvolutionalLayer) for layer in hidden)
    if len(hidden) > 1 or convolutional:
        deep = {
            "activation_bits": 6 if convolutional else 7,
            "state_bits": 18 if convolutional else 16,
            "free_steps": 30 if len(hidden) < 3 else 60,
            "nudged_steps": (12 if convolutional else 15) if len(hidden) < 3 else 30,
            "step_multiplier": 1,
            "step_shift": 1,
            "nudge_multiplier": 1,
            "nudge_shift": min(len(hidden), 2) if convolutional else 3,
            "output_box": (-1.0, 2.0) if len(hidden) > 1 else (0.0, 1.5),
            "layer_gains": tuple(_gain(layer, index, len(hidden)) for index, layer in enumerate(hidden)),
        }
    return EquilibriumDesign(input_shape, n_classes, hidden, **{**deep, **choices})


def _gain(layer: Layer, index: int, n_hidden: int) -> float:
    """Gain of the initial weights into a hidden layer of a deep network."""
    if index == 0:
        return FIRST_WIDE if isinstance(layer, ConvolutionalLayer) or n_hidden > 2 else 1.0
    return COUPLING_MAPS if isinstance(layer, ConvolutionalLayer) else COUPLING


def build_equilibrium(design: EquilibriumDesign, seed: int) -> NetworkSpec:
    """A layered, bidirectional sigma-delta network with fresh weights.

    Populations "input", "bias" (one always-on unit), "hidden1".., "output"; every layer feeds the next one, hidden and
    output layers feed back through the transposed weights. A convolutional layer has always-on units of its own, "bias
    hidden1".., one at each position, with a shared weight per feature. Same design and seed: same spec.
    """
    generator = np.random.default_rng(seed)
    names = [f"hidden{index + 1}" for index in range(len(design.hidden))] + ["output"]
    layers: list[Layer] = [*design.hidden, design.n_classes]
    shapes = [design.input_shape, *shapes_of(design.input_shape, design.hidden), (design.n_classes,)]
    projections: list[Projection] = []
    for index, (pre, post) in enumerate(zip(["input", *names[:-1]], names, strict=True)):
        projections.extend(_layer(design, pre, post, layers[index], (shapes[index], shapes[index + 1]), generator))
        projections.append(_bias(design, post, shapes[index + 1]))
    return NetworkSpec(
        populations=_populations(design, names, shapes[1:]),
        projections=tuple(projections),
        schedule=_schedule(design),
        input="input",
        output="output",
        encoder=design.encoder,
    )


def _exponent(design: EquilibriumDesign, reach: float, offset: int = 0) -> int:
    """The finest grid that holds `reach`, moved by `offset`, on which weight x payload is still a whole state unit."""
    largest = design.state_bits - max(design.activation_bits, design.encoder.activation_bits)
    exponent = exponent_for(reach, weight_limit(design.weight_bits), largest) + offset
    return max(min(exponent, largest), 0)


def _layer(
    design: EquilibriumDesign,
    pre: str,
    post: str,
    layer: Layer,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    generator: np.random.Generator,
) -> list[Projection]:
    """The projection from `pre` up to `post` and, unless `pre` is the input, its transpose back down."""
    gain = design.gains[-1] if post == "output" else design.gains[int(post.removeprefix("hidden")) - 1]
    shape: tuple[int, ...] = (math.prod(shapes[0]), math.prod(shapes[1]))
    bound, convolution = glorot_bound(shape[0], shape[1], gain), None
    if isinstance(layer, ConvolutionalLayer):
        convolution = layer.on(shapes[0])
        shape = convolution.kernel_shape(shapes[0], layer.features)
        window = math.prod(convolution.pool)  # a weight of the average is a window-th of a weight of the sum
        fan_in, positions = math.prod(shape[:-1]), math.prod(convolution.stride) * window
        bound = glorot_bound(fan_in, math.prod(shape[:-2]) * layer.features // positions, gain) / window
    learns_y3 = design.rule == "y3" and pre == "input" and convolution is None
    rule = learning_rule(design.rule if design.rule != "y3" or learns_y3 else "event", design.shadow_bits)
    limit, bits = weight_limit(design.weight_bits), design.weight_bits
    exponent = _exponent(design, HEADROOM * bound, design.exponent_offset)
    weights = quantize(generator.uniform(-bound, bound, shape), exponent, -limit, limit).astype(np.int8)
    name = f"{pre}->{post}"
    projections = [Projection(name, pre, post, exponent, weights, bits, rule=rule, convolution=convolution)]
    if pre != "input":
        projections.append(Projection(f"{post}->{pre}", post, pre, exponent, None, bits, transpose_of=name))
    return projections


def _bias(design: EquilibriumDesign, post: str, shape: tuple[int, ...]) -> Projection:
    """The plastic synapses from the always-on units to `post`: its biases."""
    exponent = _exponent(design, BIAS_REACH)
    value = design.output_bias if post == "output" else 0.0
    limit = weight_limit(design.weight_bits)
    source, convolution = "bias", None
    kernel: tuple[int, ...] = (1, shape[-1])
    if len(shape) > 1:
        source, convolution = f"bias {post}", square((*shape[:-1], 1), 1, 1, same=True)
        kernel = convolution.kernel_shape((*shape[:-1], 1), shape[-1])
    weights = quantize(np.full(kernel, value), exponent, -limit, limit).astype(np.int8)
    rule = learning_rule("event" if design.rule == "y3" and convolution else design.rule, design.shadow_bits)
    name = f"bias->{post}"
    return Projection(name, source, post, exponent, weights, design.weight_bits, rule=rule, convolution=convolution)


def _populations(design: EquilibriumDesign, names: list[str], shapes: list[tuple[int, ...]]) -> tuple[Population, ...]:
    one = 1 << design.encoder.activation_bits
    pixels = Source(design.encoder.activation_bits, design.encoder.payload_limit)
    always_on = Source(design.encoder.activation_bits, one, constant=one)
    populations = [Population("input", design.input_shape, pixels), Population("bias", (1,), always_on)]
    for name, shape in zip(names, shapes, strict=True):
        lower, upper = design.output_box if name == "output" else (0.0, 1.0)
        unit = SigmaDelta(
            design.state_bits,
            design.activation_bits,
            round(lower * 2**design.state_bits),
            round(upper * 2**design.state_bits),
            design.step_multiplier,
            design.step_shift,
        )
        if len(shape) > 1:
            populations.append(Population(f"bias {name}", (*shape[:-1], 1), always_on))
        populations.append(Population(name, shape, unit))
    return tuple(populations)


def _schedule(design: EquilibriumDesign) -> Schedule:
    phases = (
        Phase("free", design.free_steps),
        Phase("first nudge", design.nudged_steps, +1),
        Phase("second nudge", design.nudged_steps, -1),
    )
    return Schedule(phases, design.nudge_multiplier, design.nudge_shift)


def energy(spec: NetworkSpec, states: Mapping[str, Array]) -> Reals:
    """Hopfield energy E of real states (see the module docstring), one number per row.

    Args:    states, by population name, of shape [B, N]: sources in payload units, other populations in state units.
    Returns: E of shape [B], dimensionless. Projections that are transposes are the same couplings, counted once.
    """
    real = {}
    for population in spec.populations:
        neuron = population.neuron
        bits = neuron.activation_bits if isinstance(neuron, Source) else neuron.state_bits
        real[population.name] = np.asarray(states[population.name], dtype=np.float64) / 2.0**bits
    couplings = [projection for projection in spec.projections if projection.transpose_of is None]
    weights = {p.name: spec.weights_of(p) * 2.0**-p.exponent for p in couplings}
    return np.asarray(real_energy(spec, real, weights))


def real_energy(spec: NetworkSpec, states: Mapping[str, Any], weights: Mapping[str, Any]) -> Any:
    """E, of shape [B], of real states [B, N] by population and weights [N, M] by coupling; numpy or torch."""
    total = sum(0.5 * (states[p.name] * states[p.name]).sum(1) for p in spec.moving)
    for name, matrix in weights.items():
        projection = spec.projection(name)
        total = total - ((states[projection.source] @ matrix) * states[projection.target]).sum(1)
    return total
