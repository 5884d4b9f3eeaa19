"""Equilibrium propagation networks: the energy, and layered networks as integer specs.

    E(s) = sum_l 1/2 |s_l|^2 - sum_l b_l.s_l - x.W_0.s_1 - sum_l s_l.W_l.s_{l+1}        C = 1/2 |target - s_L|^2

Free phase: the states relax E. Nudged phases: E + nudge C and E - nudge C. Source: Scellier & Bengio 2017;
Laborieux et al. 2021 (centred nudging).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from neuro.base.arrays import Array, Reals
from neuro.base.convolution import Convolution, square
from neuro.base.fixed_point import quantize, weight_limit
from neuro.base.scales import exponent_for, glorot_bound
from neuro.equilibrium.design import EquilibriumDesign
from neuro.spec.graph import Population
from neuro.spec.layers import Layer, convolution_of, shapes_of
from neuro.spec.neurons import Generator, SigmaDelta, Source
from neuro.spec.plasticity import learning_rule
from neuro.spec.projection import Projection
from neuro.spec.schedule import Phase, Schedule
from neuro.spec.sigma_delta import NetworkSpec

BIAS_REACH = 0.49  # largest bias


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
        before = layers[index - 1] if index else None
        convolution = convolution_of(layers[index], before, shapes[index])
        projections.extend(_layer(design, pre, post, convolution, (shapes[index], shapes[index + 1]), generator))
        projections.append(_bias(design, post, shapes[index + 1]))
    return NetworkSpec(
        populations=_populations(design, names, shapes[1:]),
        projections=tuple(projections),
        schedule=_schedule(design),
        input="input",
        output="output",
        encoder=design.encoder,
    )


def _exponent(design: EquilibriumDesign, reach: float, offset: int = 0, *, carries_output: bool = False) -> int:
    """The finest grid that holds `reach`, moved by `offset`, on which weight x payload is still a whole state unit.

    carries_output: whether spikes of the output pass these weights, too.
    """
    finest = max(design.activation_bits, design.encoder.activation_bits, design.output_bits if carries_output else 0)
    largest = design.state_bits - finest
    exponent = exponent_for(reach, weight_limit(design.weight_bits), largest) + offset
    return max(min(exponent, largest), 0)


def _layer(
    design: EquilibriumDesign,
    pre: str,
    post: str,
    convolution: Convolution | None,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    generator: np.random.Generator,
) -> list[Projection]:
    """The projection from `pre` up to `post` and, unless `pre` is the input, its transpose back down."""
    gain = design.gains[-1] if post == "output" else design.gains[int(post.removeprefix("hidden")) - 1]
    shape: tuple[int, ...] = (math.prod(shapes[0]), math.prod(shapes[1]))
    bound = glorot_bound(shape[0], shape[1], gain)
    if convolution is not None:
        features = shapes[1][-1]
        shape = convolution.kernel_shape(shapes[0], features)
        window = math.prod(convolution.pool)  # a weight of the average is a window-th of a weight of the sum
        fan_in, apart = math.prod(shape[:-1]), math.prod(convolution.stride) * window // convolution.averaged
        taps = math.prod(shape[:-2]) if math.prod(shapes[1]) > features else 1  # that read a neuron: one position, one
        bound = glorot_bound(fan_in, taps * features // apart, gain) / window
    learns_y3 = design.rule == "y3" and pre == "input" and convolution is None
    rule = learning_rule(design.rule if design.rule != "y3" or learns_y3 else "event", design.shadow_bits)
    limit, bits = weight_limit(design.weight_bits), design.weight_bits
    carries = post == "output"
    exponent = _exponent(design, design.headroom * bound, design.exponent_offset, carries_output=carries)
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
    fixed = design.encoder.fixed
    pixels = Source(design.encoder.activation_bits, design.encoder.payload_limit)
    if fixed is not None and fixed.window:
        pixels = Generator(design.encoder.activation_bits, fixed.window)
    always_on = Source(design.encoder.activation_bits, one, constant=one)
    populations = [Population("input", design.input_shape, pixels), Population("bias", (1,), always_on)]
    for name, shape in zip(names, shapes, strict=True):
        lower, upper = design.output_box if name == "output" else (0.0, 1.0)
        unit = SigmaDelta(
            design.state_bits,
            (name == "output" and design.output_bits) or design.activation_bits,
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
        Phase("free", design.free_steps + (0 if design.encoder.fixed is None else design.encoder.fixed.window)),
        Phase("first nudge", design.nudged_steps, +1),
        Phase("second nudge", design.nudged_steps, -1),
    )
    return Schedule(phases, design.nudge_multiplier, design.nudge_shift, order=design.order, force=design.force)


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
