from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.artifact.sigma_delta import spec_arrays, spec_to_json
from neuro.base.scales import glorot_bound
from neuro.equilibrium.design import EquilibriumDesign, design_for
from neuro.equilibrium.sigma_delta import build_equilibrium, energy
from neuro.spec.layers import ConvolutionalLayer
from neuro.spec.neurons import SigmaDelta

law = settings(max_examples=30, deadline=None)


@st.composite
def designs(draw):
    return EquilibriumDesign(
        tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))),
        draw(st.integers(2, 6)),
        tuple(draw(st.lists(st.integers(1, 12), min_size=1, max_size=3))),
        rule=draw(st.sampled_from(["event", "end-point", "y3"])),
        shadow_bits=draw(st.integers(0, 8)),
        weight_bits=draw(st.integers(2, 8)),
        activation_bits=draw(st.integers(3, 7)),
        hidden_gain=draw(st.floats(0.1, 3)),
        output_bias=draw(st.floats(-0.4, 0.4)),
    )


def layers(design) -> list[str]:
    return ["input", *(f"hidden{i + 1}" for i in range(len(design.hidden))), "output"]


def real_states(spec, seed: int, rows: int = 3) -> dict[str, np.ndarray]:
    """Random states in integer units: payloads of sources, states of units within their boxes."""
    generator = np.random.default_rng(seed)
    states = {}
    for population in spec.populations:
        neuron = population.neuron
        low, high = (neuron.lower, neuron.upper) if isinstance(neuron, SigmaDelta) else (0, neuron.payload_limit)
        states[population.name] = generator.integers(low, high, (rows, population.size), endpoint=True).astype(float)
    states["bias"][:] = spec.population("bias").neuron.constant
    return states


def accumulated_input(spec, states, target: str) -> np.ndarray:
    """The real input of `target`: the sum over its projections, transposes included, of value times weight."""
    total = 0.0
    for projection in spec.projections:
        if projection.target == target:
            neuron = spec.population(projection.source).neuron
            bits = neuron.state_bits if isinstance(neuron, SigmaDelta) else neuron.activation_bits
            weights = spec.weights_of(projection).astype(float) / 2**projection.exponent
            total = total + states[projection.source] / 2**bits @ weights
    return total


@law
@given(designs(), st.integers(0, 2**32))
def test_same_design_and_seed_same_spec(design, seed):
    first, second, other = (build_equilibrium(design, s) for s in (seed, seed, seed + 1))
    assert spec_to_json(first) == spec_to_json(second) == spec_to_json(other)
    for name, array in spec_arrays(first).items():
        np.testing.assert_array_equal(array, spec_arrays(second)[name])


def test_another_seed_draws_other_weights():
    first, other = (build_equilibrium(EquilibriumDesign((20,), 5, (20,)), seed).projections[0] for seed in (0, 1))
    assert np.mean(first.weights == other.weights) < 0.1


@law
@given(designs(), st.integers(0, 99))
def test_every_layer_feeds_the_next_and_is_fed_back_by_its_transpose(design, seed):
    spec = build_equilibrium(design, seed)
    names = layers(design)
    up = set(pairwise(names))
    down = {(b, a) for a, b in up if a != "input"}
    bias = {("bias", name) for name in names[1:]}
    assert {(p.source, p.target) for p in spec.projections} == up | down | bias
    for projection in spec.projections:
        pair = (projection.source, projection.target)
        assert (projection.transpose_of is not None) == (pair in down)
        assert (projection.rule is None) == (pair in down)
    sizes = [int(np.prod(design.input_shape)), *design.hidden, design.n_classes]
    assert [spec.population(name).size for name in names] == sizes
    assert spec.population("input").shape == design.input_shape


@law
@given(designs(), st.integers(0, 99))
def test_weights_and_rules_are_those_of_the_design(design, seed):
    spec = build_equilibrium(design, seed)
    for projection in spec.plastic:
        limit = 2 ** (design.weight_bits - 1) - 1
        assert np.abs(projection.weights.astype(int)).max() <= limit
        inside = projection.source not in ("input", "bias")
        assert projection.rule.name == ("event" if design.rule == "y3" and inside else design.rule)
        assert projection.rule.shadow_bits == design.shadow_bits
        assert projection.weight_bits == design.weight_bits


@law
@given(designs(), st.integers(0, 99))
def test_fresh_weights_lie_within_their_glorot_bound_and_biases_at_their_value(design, seed):
    spec = build_equilibrium(design, seed)
    for projection in spec.plastic:
        real = projection.weights.astype(float) / 2**projection.exponent
        grid = 2.0**-projection.exponent / 2
        if projection.source != "bias":
            gain = design.output_gain if projection.target == "output" else design.hidden_gain
            bound = glorot_bound(*projection.weights.shape, gain)
            assert np.abs(real).max() <= bound + grid
        else:
            value = design.output_bias if projection.target == "output" else 0.0
            np.testing.assert_allclose(real, value, atol=grid)


def test_fresh_weights_are_uniform_over_their_bound():
    spec = build_equilibrium(EquilibriumDesign((200,), 10, (200,)), 0)
    real = spec.projections[0].weights / 2.0 ** spec.projections[0].exponent
    bound = glorot_bound(200, 200)
    assert np.mean(real) == pytest.approx(0, abs=bound / 50)
    assert np.var(real) == pytest.approx(bound**2 / 3, rel=0.03)


def test_the_grid_leaves_room_to_grow_and_is_the_finest_that_does():
    spec = build_equilibrium(EquilibriumDesign((64,), 10, (64,)), 0)
    projection = spec.projection("input->hidden1")
    largest, bound = projection.limit / 2**projection.exponent, glorot_bound(64, 64)
    assert 1.5 * bound <= largest < 2 * 1.5 * bound


def test_an_offset_of_the_exponent_makes_the_grid_coarser_by_powers_of_two():
    design = EquilibriumDesign((64,), 10, (64,))
    plain, coarse = (build_equilibrium(replace(design, exponent_offset=k), 0) for k in (0, -2))
    for a, b in zip(plain.projections, coarse.projections, strict=True):
        assert a.exponent - b.exponent == (0 if a.source == "bias" else 2)


def test_the_schedule_is_free_then_both_nudges():
    design = EquilibriumDesign((4,), 2, free_steps=7, nudged_steps=3, nudge_multiplier=3, nudge_shift=3)
    schedule = build_equilibrium(design, 0).schedule
    assert [(phase.steps, phase.nudge) for phase in schedule.phases] == [(7, 0), (3, 1), (3, -1)]
    assert schedule.nudge == 3 / 8


MAPS = ConvolutionalLayer(4, 2)


@pytest.mark.parametrize("hidden", [(8,), (8, 6), (8, 6, 4), (MAPS,), (MAPS, 6), (MAPS, MAPS)], ids=str)
def test_the_default_design_of_every_depth_builds(hidden):
    spec = build_equilibrium(design_for((5, 5), 3, hidden), 0)
    output = spec.population("output").neuron
    assert (output.lower < 0) == (len(hidden) > 1)
    assert spec.schedule.last_step > 2 * len(hidden)


def test_a_layer_of_maps_is_nudged_as_one_of_neurons():
    one, two = design_for((5, 5), 3, (MAPS,)), design_for((5, 5), 3, (MAPS, MAPS))
    plain = design_for((5, 5), 3, (8,))
    assert (one.nudge_multiplier, one.nudge_shift) == (plain.nudge_multiplier, plain.nudge_shift)
    assert two.nudge_shift > one.nudge_shift


def test_choices_come_before_the_defaults_of_the_depth():
    design = design_for((5, 5), 3, (8, 6), free_steps=4, rule="end-point")
    assert (design.free_steps, design.rule, design.nudged_steps) == (4, "end-point", 15)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden": ()}, ("hidden layers ()", "at least one")),
        ({"hidden": (4, 0)}, ("hidden layers (4, 0)", "1 to 65536 neurons")),
        ({"n_classes": 1}, ("1 classes", "at least two")),
        ({"rule": "hebb"}, ("'hebb'", "event")),
        ({"shadow_bits": 9}, ("shadow_bits 9", "0..8")),
        ({"weight_bits": 9}, ("weight_bits 9", "2..8")),
        ({"free_steps": 0}, ("phase free", "0 steps")),
        ({"input_shape": (0,)}, ("population input", "(0,)")),
        ({"output_box": (0.5, 1.5)}, ("box", "hold 0")),
        ({"step_multiplier": 9}, ("step size 9/2**3",)),
        ({"activation_bits": 17}, ("activation_bits 17",)),
        ({"weight_bits": 1}, ("weight_bits 1", "2..8")),
        ({"hidden_gain": 0.0}, ("hidden_gain",)),
    ],
)
def test_a_design_that_cannot_be_built_is_refused(changes, words, refused):
    with refused(*words):
        build_equilibrium(EquilibriumDesign(**{"input_shape": (4,), "n_classes": 2, "hidden": (3,), **changes}), 0)


@law
@given(designs(), st.integers(0, 99))
def test_energy_falls_along_the_input_minus_the_state(design, seed):
    # dE/ds = s - input; E is quadratic in each state, so the centred difference is exact.
    spec = build_equilibrium(design, seed)
    states = real_states(spec, seed)
    for population in spec.populations:
        if isinstance(population.neuron, SigmaDelta):
            one = population.neuron.one
            for index in range(min(population.size, 2)):
                moved = []
                for step in (one, -one):
                    other = {name: array.copy() for name, array in states.items()}
                    other[population.name][:, index] += step
                    moved.append(energy(spec, other))
                slope = states[population.name] / one - accumulated_input(spec, states, population.name)
                np.testing.assert_allclose((moved[0] - moved[1]) / 2, slope[:, index], rtol=1e-6, atol=1e-6)


@law
@given(designs(), st.integers(0, 99))
def test_energy_never_rises_when_one_layer_relaxes(design, seed):
    spec = build_equilibrium(design, seed)
    states = real_states(spec, seed)
    before = energy(spec, states)
    assert before.shape == (3,)
    for name in layers(design)[1:] * 2:
        neuron = spec.population(name).neuron
        goal = accumulated_input(spec, states, name) * neuron.one
        states[name] = np.clip(states[name] + 0.75 * (goal - states[name]), neuron.lower, neuron.upper)
        after = energy(spec, states)
        assert np.all(after <= before + 1e-9)
        before = after


def test_energy_of_silence_is_zero_and_rows_are_independent():
    spec = build_equilibrium(EquilibriumDesign((4,), 2, (3,)), 0)
    states = real_states(spec, 0)
    silent = {name: np.zeros_like(array) for name, array in states.items()}
    assert not energy(spec, silent).any()
    for row in range(3):
        alone = energy(spec, {name: array[row : row + 1] for name, array in states.items()})
        assert alone[0] == pytest.approx(energy(spec, states)[row])
