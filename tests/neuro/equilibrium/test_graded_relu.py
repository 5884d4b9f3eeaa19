from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.fixed_point import INT32_MAX
from neuro.coding.graded_relu import sparse_coder
from neuro.equilibrium.design import EquilibriumDesign
from neuro.equilibrium.graded_relu import LARGEST_FORCE, GradedDesign, graded_from, open_boxes, output_forces
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.neurons import Source
from neuro.stock.graded import present, readout, state_limit
from neuro.stock.processes import STATE_LIMIT, GradedRelu, SpikeInput, StockPopulation, StockProjection, StockSpec

SPEC = open_boxes(build_equilibrium(EquilibriumDesign((5,), 3, (4,)), seed=1), 4.0)
STOCK = graded_from(SPEC, GradedDesign())
DICTIONARY = np.random.default_rng(0).normal(size=(6, 8))


def one_synapse(weight: int, exponent: int = 0, payload_limit: int = 1, message_bits: int = 24) -> StockSpec:
    """An input and one graded neuron that feeds back on itself."""
    return StockSpec(
        (StockPopulation("in", (1,), SpikeInput(payload_limit)), StockPopulation("v", (1,), GradedRelu())),
        (
            StockProjection("w", "in", "v", np.full((1, 1), 2), message_bits=message_bits),
            StockProjection("v->v", "v", "v", np.full((1, 1), weight), exponent, message_bits=24),
        ),
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GradedDesign(state_bits=0), ("state_bits 0", "1..22")),
        (lambda: GradedDesign(step_shift=0), ("step_shift 0",)),
        (lambda: GradedDesign(free_steps=1.5), ("free_steps 1.5", "integer")),
        (lambda: GradedDesign(nudge=0), ("nudge 0",)),
        (lambda: graded_from(SPEC, GradedDesign(22)), ("32 bits", "lower state_bits")),
        (lambda: present(STOCK, np.zeros((2, 4), int), 3), ("payloads", "(2, 5)")),
        (lambda: present(STOCK, np.zeros((2, 5)), 3), ("payloads", "float64")),
        (lambda: present(STOCK, np.zeros((2, 5), int), 3, np.zeros((2, 4, 3), int)), ("forces", "(2, 3, 3)")),
        (lambda: sparse_coder(np.zeros((3, 3)), 0.1), ("dictionary", "all zero")),
        (lambda: sparse_coder(DICTIONARY[0], 0.1), ("dictionary", "matrix")),
        (lambda: sparse_coder(DICTIONARY, 0.0), ("sparsity_threshold 0",)),
        (lambda: sparse_coder(DICTIONARY, 0.1, input_bits=15), ("input_bits 15",)),
        (lambda: sparse_coder(DICTIONARY, 0.1, reach=1e3), ("32 bits",)),
    ],
)
def test_what_does_not_fit_is_refused(make, words, refused):
    with refused(*words):
        make()


def test_boxes_below_zero_are_refused_until_opened(small_spec, refused):
    with refused("output" if small_spec.population("output").neuron.lower else "box"):
        graded_from(replace_output_box(small_spec), GradedDesign())
    graded_from(open_boxes(replace_output_box(small_spec), 2.0), GradedDesign())


def replace_output_box(spec):
    """The spec with an output that may be negative."""
    populations = tuple(
        replace(p, neuron=replace(p.neuron, lower=-p.neuron.one)) if p.name == "output" else p for p in spec.populations
    )
    return replace(spec, populations=populations)


def test_an_always_on_source_must_be_positive(refused):
    populations = tuple(replace(p, neuron=Source(constant=-3)) if p.name == "bias" else p for p in SPEC.populations)
    with refused("population bias", "-3", "at least 1"):
        graded_from(replace(SPEC, populations=populations), GradedDesign())


def test_the_weights_are_those_of_the_spec_bit_for_bit(small_spec):
    spec, design = open_boxes(small_spec, 4.0), GradedDesign(state_bits=11, step_shift=2)
    stock = {p.name: p for p in graded_from(spec, design).projections}
    for projection in spec.projections:
        source = spec.population(projection.source).neuron
        bits = source.activation_bits if isinstance(source, Source) else design.state_bits
        transmitted = stock[projection.name].effective * 2.0 ** stock[projection.name].exponent
        wanted = spec.weights_of(projection) * 2.0**-projection.exponent / 4
        np.testing.assert_array_equal(transmitted * 2.0 ** (bits - design.state_bits), wanted)


@given(st.integers(-120, 120).map(lambda k: 2 * k), st.integers(-6, 3))
def test_the_state_limit_is_the_largest_state_without_a_wrap(weight, exponent):
    stock = one_synapse(weight, exponent)
    limit = state_limit(stock)

    def sums(state: int) -> int:
        alone = abs(weight) * state
        return max(alone, int(alone * 2.0**exponent) + 2 + 2)  # input, one unit of rounding a synapse

    assert limit == STATE_LIMIT - 1 or sums(limit + 1) > INT32_MAX
    assert sums(limit) <= INT32_MAX


def test_inputs_that_alone_overflow_leave_no_state():
    stock = StockSpec(
        (StockPopulation("in", (300,), SpikeInput(2**15 - 1)), StockPopulation("v", (1,), GradedRelu())),
        (StockProjection("w", "in", "v", np.full((300, 1), 254), message_bits=24),),
    )
    assert state_limit(stock) == -1


def test_states_beyond_the_limit_are_refused_at_the_readout(refused):
    stock = one_synapse(254)
    limit = state_limit(stock)
    spikes = {"in": np.ones((1, 3, 1), int), "v": np.array([[[0], [limit], [7]]])}
    assert readout(stock, spikes, "v", 2) == limit
    with refused("population v", str(limit + 1), "lower state_bits"):
        readout(stock, {**spikes, "v": spikes["v"] + 1}, "v", 3)


def test_the_same_image_is_sent_at_every_step_and_the_bias_with_it():
    payloads, forces = np.arange(10).reshape(2, 5), np.arange(2 * 4 * 3).reshape(2, 4, 3)
    inputs = present(STOCK, payloads, 4, forces)
    STOCK.check_inputs(inputs)
    np.testing.assert_array_equal(inputs[:, :, :5], np.repeat(payloads[:, None], 4, axis=1))
    assert (inputs[:, :, 5] == SPEC.population("bias").neuron.constant).all()
    np.testing.assert_array_equal(inputs[:, :, 6:9], forces)
    assert (inputs[:, :, 9] == 1).all()
    assert (present(STOCK, payloads, 4)[:, :, 6:9] == 0).all()


@settings(max_examples=30)
@given(st.integers(0, 40_000), st.floats(0.01, 1))
def test_forces_are_none_then_plus_then_minus(output, nudge):
    design = GradedDesign(free_steps=3, nudged_steps=2, nudge=nudge)
    forces = output_forces(design, np.array([[output, 0]]), np.array([[0.0, 1.0]]))
    assert forces.shape == (1, design.all_steps, 2)
    assert (forces[0, :3] == 0).all()
    np.testing.assert_array_equal(forces[0, 3:5], -forces[0, 5:])
    assert forces[0, 3, 1] == round(nudge * 4096)
    assert forces[0, 3, 0] == max(-LARGEST_FORCE, round(-nudge * output)) or abs(nudge * output % 1 - 0.5) < 1e-6
