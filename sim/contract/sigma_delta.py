"""The contract of every backend, as checks that anyone adding one can run: same spec, same input, same integers.

`random_spec` draws networks far from the trained ones: any sizes, shifts, boxes, step sizes, cycles, self-connections,
transposes, fixed and learning projections, schedules. `check_run` and `check_learning` compare a backend with the
executable definition, `sim.backends.reference`, in every spike, state, prediction and weight.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from neuro.base.convolution import Convolution, same_padding
from neuro.base.errors import UserError
from neuro.base.fixed_point import weight_limit
from neuro.equilibrium.design import EquilibriumDesign
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.graph import Population
from neuro.spec.layers import ConvolutionalLayer, Layer
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.plasticity import Rate, learning_rule
from neuro.spec.projection import Projection
from neuro.spec.schedule import EVEN_ODD, FORCES, Phase, Schedule
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import AnyBackend, get_backend
from sim.backends.record import Differences, Record, compare

ATTEMPTS = 100
MAX_NEURONS = 40
RULES = ("event", "end-point", "y3")


def random_spec(seed: int, *, learns: bool = True) -> NetworkSpec:
    """A valid random network; same seed, same network."""
    generator = np.random.default_rng([seed, 0xC0DE])
    for _ in range(ATTEMPTS):
        try:
            return _draw(generator, learns)
        except UserError:  # e.g. its sums could leave 32 bits
            continue
    raise RuntimeError(f"random_spec: no valid network in {ATTEMPTS} attempts from seed {seed}")


def _draw(generator: np.random.Generator, learns: bool) -> NetworkSpec:
    bits = int(generator.integers(1, 7))
    n_moving = int(generator.integers(1, 4))
    source = Source(bits, payload_limit=1 << bits)
    constant = int(generator.integers(1, 1 << bits, endpoint=True))
    populations = [
        Population("input", _draw_shape(generator), source),
        Population("bias", (1,), Source(bits, 1 << bits, constant)),
    ]
    maps: dict[tuple[str, str], Convolution] = {}
    for index in range(n_moving):
        name = f"moving{index}"
        shape: tuple[int, ...] = (int(generator.integers(1, MAX_NEURONS)),)
        origin = populations[int(generator.integers(0, len(populations)))]
        if generator.random() < 0.4:
            maps[origin.name, name], shape = _draw_convolution(generator, origin.shape)
        populations.append(Population(name, shape, _draw_neuron(generator)))
    moving = populations[2:]
    projections: list[Projection] = []
    for target in moving:
        for origin in populations:
            if origin.name == "input" or generator.random() < 0.6:
                projections += _draw_projections(
                    generator, origin, target, learns, maps.get((origin.name, target.name))
                )
    return NetworkSpec(
        populations=tuple(populations),
        projections=tuple(_drop_double_transposes(projections)),
        schedule=_draw_schedule(generator),
        input="input",
        output=moving[-1].name,
        encoder=PixelEncoder(activation_bits=bits),
    )


def layered_spec(seed: int, *, learns: bool = True, largest_gain: float = 6.0) -> NetworkSpec:
    """A random layered network in even-odd order, with a constant or a relaxing force; same seed, same network.

    One to three hidden layers, maps among them, of small images; couplings of gains up to `largest_gain`.
    """
    generator = np.random.default_rng([seed, 0xE7E0])
    for _ in range(ATTEMPTS):
        try:
            return _draw_layers(generator, learns, largest_gain)
        except UserError:
            continue
    raise RuntimeError(f"layered_spec: no valid network in {ATTEMPTS} attempts from seed {seed}")


def any_spec(seed: int, *, learns: bool = True) -> NetworkSpec:
    """A `random_spec`, or, one in three, a `layered_spec`."""
    return (layered_spec if seed % 3 == 0 else random_spec)(seed, learns=learns)


def _draw_layers(generator: np.random.Generator, learns: bool, largest_gain: float) -> NetworkSpec:
    layers: list[Layer] = []
    shape = tuple(int(n) for n in generator.integers(4, 9, 2))
    for _ in range(int(generator.integers(1, 4))):
        if all(not isinstance(layer, int) for layer in layers) and generator.random() < 0.6:
            pool, averaged = (int(window) for window in generator.choice((1, 1, 2), 2))
            features, extent = (int(n) for n in generator.integers(1, (5, 4)))
            layers.append(ConvolutionalLayer(features, extent, pool=pool, averaged=averaged))
        else:
            layers.append(int(generator.integers(1, MAX_NEURONS)))
    bits = int(generator.integers(2, 7))
    design = EquilibriumDesign(
        shape,
        int(generator.integers(2, 11)),
        tuple(layers),
        rule=RULES[int(generator.integers(2))],
        shadow_bits=int(generator.integers(0, 9)),
        activation_bits=bits,
        state_bits=bits + int(generator.integers(6, 11)),
        free_steps=int(generator.integers(1, 40)),
        nudged_steps=int(generator.integers(1, 20)),
        nudge_shift=int(generator.integers(0, 4)),
        output_box=(-float(generator.integers(0, 3)), float(generator.integers(1, 4))),
        hidden_gain=float(generator.uniform(0.2, largest_gain)),
        output_gain=float(generator.uniform(0.2, largest_gain)),
        headroom=1.0,
        order=EVEN_ODD,
        step_multiplier=1,
        step_shift=0,
        force=str(generator.choice(FORCES)),
    )
    spec = build_equilibrium(design, int(generator.integers(1 << 30)))
    if learns:
        return spec
    return replace(spec, projections=tuple(replace(p, rule=None) for p in spec.projections))


def _draw_shape(generator: np.random.Generator) -> tuple[int, ...]:
    """The shape of a vector, an image or an image with channels, of at most MAX_NEURONS values."""
    n_axes = int(generator.integers(1, 4))
    if n_axes == 1:
        return (int(generator.integers(1, MAX_NEURONS)),)
    return tuple(int(n) for n in generator.integers(1, 7 if n_axes == 2 else 4, n_axes))


def _draw_convolution(generator: np.random.Generator, shape: tuple[int, ...]) -> tuple[Convolution, tuple[int, ...]]:
    """A convolution that fits images of `shape`, and the shape of its maps."""
    extents, strides, padding = [], [], []
    for length in shape[:2]:
        extent = int(generator.integers(1, min(length, 4), endpoint=True))
        stride = int(generator.integers(1, extent, endpoint=True))
        extents.append(extent)
        strides.append(stride)
        padding.append(same_padding(length, extent, stride))
    pool = []
    for count in Convolution(tuple(extents), tuple(strides), tuple(padding)).positions(shape):
        divisors = [window for window in range(1, 4) if count % window == 0]
        pool.append(divisors[int(generator.integers(len(divisors)))])
    convolution = Convolution(tuple(extents), tuple(strides), tuple(padding), tuple(pool))
    return convolution, convolution.output_shape(shape, int(generator.integers(1, 4)))


def _draw_neuron(generator: np.random.Generator) -> SigmaDelta:
    state_bits = int(generator.integers(6, 17))
    one, shift = 1 << state_bits, int(generator.integers(0, 5))
    upper, sparse = int(generator.integers(1, 2 * one)), generator.random() < 0.4
    return SigmaDelta(
        state_bits=state_bits,
        activation_bits=int(generator.integers(0, min(7, state_bits), endpoint=True)),
        lower=-int(generator.integers(0, 2 * one)),
        upper=upper,
        step_multiplier=int(generator.integers(1, 1 << shift, endpoint=True)),
        step_shift=shift,
        threshold=int(generator.integers(0, upper)) if sparse else 0,
        threshold_kind="hard" if generator.random() < 0.5 else "soft",
    )


def _draw_projections(
    generator: np.random.Generator,
    origin: Population,
    target: Population,
    learns: bool,
    convolution: Convolution | None,
) -> list[Projection]:
    """A projection, between moving populations sometimes with its transpose."""
    weight_bits = int(generator.integers(2, 9))
    limit = weight_limit(weight_bits)
    static = isinstance(origin.neuron, Source)
    assert isinstance(target.neuron, SigmaDelta)  # moving
    rule = None
    shape: tuple[int, ...] = (origin.size, target.size)
    if convolution is not None:
        shape = convolution.kernel_shape(origin.shape, target.shape[-1])
    if learns and generator.random() < 0.7:
        name = RULES[int(generator.integers(3 if static and convolution is None else 2))]
        rule = learning_rule(name, int(generator.integers(0, 9)))
    highest = target.neuron.state_bits - origin.neuron.activation_bits
    projection = Projection(
        name=f"{origin.name}->{target.name}",
        source=origin.name,
        target=target.name,
        exponent=int(generator.integers(0, max(highest, 0), endpoint=True)),
        weights=generator.integers(-limit, limit, shape, endpoint=True).astype(np.int8),
        weight_bits=weight_bits,
        rule=rule,
        convolution=convolution,
    )
    if static or generator.random() < 0.5:
        return [projection]
    back = replace(
        projection, name=f"{target.name}->{origin.name}^T", source=target.name, target=origin.name, weights=None,
        rule=None, transpose_of=projection.name, convolution=None, sign=int(generator.choice((1, -1))),
    )  # fmt: skip
    return [projection, back]


def _drop_double_transposes(projections: list[Projection]) -> list[Projection]:
    unique = {projection.name: projection for projection in projections}
    return list(unique.values())


def _draw_schedule(generator: np.random.Generator) -> Schedule:
    first = 1 if generator.random() < 0.5 else -1
    steps = [int(n) for n in generator.integers(1, (7, 7, 20))]  # long enough for neurons to oscillate
    phases = (Phase("free", steps[0]), Phase("first", steps[1], first), Phase("second", steps[2], -first))
    return Schedule(
        phases, int(generator.integers(1, 4)), int(generator.integers(0, 4)), bool(generator.random() < 0.5)
    )


def random_images(spec: NetworkSpec, seed: int, count: int) -> tuple[Any, Any]:
    """Random payloads of shape [count, N] and targets of shape [count, K] anywhere in their allowed ranges."""
    generator = np.random.default_rng([seed, 0x1337])
    neuron, output = spec.population(spec.input).neuron, spec.unit(spec.output)
    limit, shape = neuron.payload_limit, (count, spec.n_inputs)
    payloads = generator.integers(-limit, limit, shape, endpoint=True) * (generator.random(shape) < 0.7)
    targets = generator.integers(-output.one, output.one, (count, spec.n_classes), endpoint=True)
    return payloads.astype(np.int16), targets.astype(np.int32)


def random_rates(spec: NetworkSpec, seed: int) -> dict[str, Rate]:
    """Random learning rates, from far too small to far too large."""
    generator = np.random.default_rng([seed, 0xFA57])
    return {p.name: Rate(int(generator.integers(1, 8)), int(generator.integers(2, 14))) for p in spec.plastic}


def run_fully(
    backend: AnyBackend, spec: NetworkSpec, payloads: Any, targets: Any, *, seed: int = 0, first_image: int = 0,
    currents: Any = None, **options: Any,
) -> Record:  # fmt: skip
    """Run on `backend` and keep every spike and state."""
    with backend.open(spec, **options) as session:
        return session.run(
            payloads, targets, seed=seed, first_image=first_image, keep_states=True, keep_spikes=True, currents=currents
        )


def check_run(
    backend: AnyBackend, spec: NetworkSpec, payloads: Any, targets: Any, *, seed: int = 0, first_image: int = 0,
    currents: Any = None, **options: Any,
) -> Differences:  # fmt: skip
    """Run on `backend` and on the reference; raises AssertionError where the two differ in anything but their name."""
    shown: dict[str, Any] = {"seed": seed, "first_image": first_image, "currents": currents}
    expected = run_fully(get_backend("reference"), spec, payloads, targets, **shown)
    actual = run_fully(backend, spec, payloads, targets, **shown, **options)
    differences = compare(actual, expected)
    if differences.total:
        raise AssertionError(f"backend {backend.name} differs from the reference: {differences}")
    for name in ("output_states", "settled", "last_spike"):
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name), err_msg=name)
    for name, counts in expected.spike_counts.items():
        np.testing.assert_array_equal(actual.spike_counts[name], counts, err_msg=f"spike counts of {name}")
    return differences


def check_learning(
    backend: AnyBackend, spec: NetworkSpec, payloads: Any, targets: Any, rates: dict[str, Rate], *, seed: int = 0,
    batch_size: int = 1, currents: Any = None, **options: Any,
) -> None:  # fmt: skip
    """Learn on `backend` and on the reference; raises AssertionError unless weights, predictions, spikes are equal."""
    results = []
    runs: tuple[tuple[AnyBackend, dict[str, Any]], ...] = ((get_backend("reference"), {}), (backend, options))
    for chosen, more in runs:
        with chosen.open(spec, batch_size=batch_size, **more) as session:
            outcome = session.learn(payloads, targets, rates, seed=seed, first_image=5, currents=currents)
            results.append((outcome, session.weights(), session.full_weights()))
    (expected, *expected_weights), (actual, *actual_weights) = results
    np.testing.assert_array_equal(actual.predictions, expected.predictions, err_msg="predictions while learning")
    for name in ("settled", "last_spike", "free", "nudged"):
        values, wanted = (getattr(outcome.settling, name) for outcome in (actual, expected))
        np.testing.assert_array_equal(values, wanted, err_msg=f"{name} while learning")
    for name, counts in expected.spike_counts.items():
        np.testing.assert_array_equal(actual.spike_counts[name], counts, err_msg=f"spike counts of {name}")
    for of_actual, of_expected in zip(actual_weights, expected_weights, strict=True):
        for name in of_expected:
            np.testing.assert_array_equal(of_actual[name], of_expected[name], err_msg=f"weights of {name}")
