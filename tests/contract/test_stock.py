"""Stock networks against Lava itself: every spike and state, and every weight and tag of those that learn."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.errors import UserError
from neuro.stock.learning_engine import EngineRule, product
from neuro.stock.processes import LIF
from sim.backends.lava.stock.run import can_share_graph, run_stock_in_lava
from sim.backends.stock.emulator import emulate
from sim.backends.stock.learning import LearningEmulator
from sim.contract.stock import count_stock_differences, random_learning_spec, random_stock_inputs, random_stock_spec

EQUAL = {"spikes": 0, "u": 0, "v": 0}
SEEDS = st.integers(0, 2**31)
needs_lava = pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10")


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(180)
@settings(max_examples=5, deadline=None)
@given(SEEDS)
def test_any_stock_network_runs_as_in_lava(seed):
    spec = random_stock_spec(seed)
    inputs = random_stock_inputs(spec, seed, 1, 200)
    lava = run_stock_in_lava(spec, inputs)
    assert count_stock_differences(emulate(spec, inputs), lava.record) == EQUAL


def random_biases(spec, seed, batch):
    """Mantissas of shape [batch, N] for every LIF population, over all 13 bits."""
    generator = np.random.default_rng([seed, 0xB1A5])
    leaky = [p for p in spec.populations if isinstance(p.neuron, LIF)]
    return {p.name: generator.integers(-(2**12), 2**12, (batch, p.size)) for p in leaky}


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("seed", "shared"), [(4, True), (2, False)])
def test_biases_set_before_every_sequence_are_those_of_lava(seed, shared):
    spec = random_stock_spec(seed, graded=False)
    biases = random_biases(spec, seed, 3)
    spec, inputs = replace(spec, biased=tuple(biases)), random_stock_inputs(spec, seed, 3, 60)
    assert can_share_graph(spec, 60) is shared
    chip, lava = emulate(spec, inputs, biases=biases), run_stock_in_lava(spec, inputs, biases=biases)
    assert count_stock_differences(chip, lava.record) == EQUAL
    same = {name: np.repeat(values[:1], 3, axis=0) for name, values in biases.items()}
    assert count_stock_differences(chip, emulate(spec, inputs, biases=same)) != EQUAL


@pytest.mark.parametrize("seed", range(6))
def test_biases_equal_to_those_of_the_neurons_change_nothing(seed):
    spec = random_stock_spec(seed, graded=False)
    inputs = random_stock_inputs(spec, seed, 2, 80)
    leaky = [p for p in spec.populations if isinstance(p.neuron, LIF)]
    biases = {p.name: np.full((2, p.size), p.neuron.bias_mantissa) for p in leaky}
    host = emulate(replace(spec, biased=tuple(biases)), inputs, biases=biases)
    assert count_stock_differences(host, emulate(spec, inputs)) == EQUAL


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [3, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (9, 12))])
def test_any_stock_network_learns_as_in_lava(seed):
    spec = random_learning_spec(seed)
    inputs = random_stock_inputs(spec, seed, 1, 200)
    chip = LearningEmulator(spec)
    record = chip.run(inputs[0])
    lava = run_stock_in_lava(spec, inputs)
    assert count_stock_differences(record, lava.record) == EQUAL
    for name, weights in chip.weights().items():
        np.testing.assert_array_equal(weights, lava.weights[0][name])
        np.testing.assert_array_equal(chip.tags()[name], lava.tags[0][name])


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("interval", "shared"), [pytest.param(0, True, marks=pytest.mark.slow), (20, True), (17, False)]
)
def test_sequences_are_independent_in_lava_whether_or_not_they_share_a_graph(interval, shared):
    spec = random_stock_spec(2)
    populations = tuple(
        replace(p, neuron=replace(p.neuron, reset_interval=interval)) if isinstance(p.neuron, LIF) else p
        for p in spec.populations
    )
    spec = replace(spec, populations=populations)
    inputs = random_stock_inputs(spec, 2, 3, 60)
    assert can_share_graph(spec, 60) is shared
    chip, done = emulate(spec, inputs), []
    in_a_row = emulate(spec, inputs.reshape(1, 180, -1))
    assert (in_a_row.spikes["moving0"].reshape(chip.spikes["moving0"].shape) != chip.spikes["moving0"]).any()
    lava = run_stock_in_lava(spec, inputs, on_image=done.append)
    assert count_stock_differences(chip, lava.record) == EQUAL
    assert len(lava.run_s) == 3
    assert done == sorted(done)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_sequences_are_independent_whatever_the_threads(seed):
    spec = random_stock_spec(seed)
    inputs = random_stock_inputs(spec, seed, 5, 40)
    together = emulate(spec, inputs, threads=3)
    for index in range(5):
        alone = emulate(spec, inputs[index : index + 1], threads=1)
        for key in ("spikes", "u", "v"):
            for name, values in getattr(alone, key).items():
                np.testing.assert_array_equal(getattr(together, key)[name][index : index + 1], values)


@pytest.mark.parametrize("noise", ["shared", "per-synapse"])
def test_running_in_pieces_equals_running_at_once(noise):
    spec = random_learning_spec(3)
    inputs = random_stock_inputs(spec, 3, 1, 150)[0]
    plastic = tuple(replace(p, noise=noise) if p.rule else p for p in spec.projections)
    whole, pieces = (LearningEmulator(replace(spec, projections=plastic)) for _ in range(2))
    record = whole.run(inputs)
    spikes = [pieces.run(part).spikes for part in np.array_split(inputs, 4)]
    for name, values in record.spikes.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in spikes], axis=1), values)
    for name, weights in whole.weights().items():
        np.testing.assert_array_equal(pieces.weights()[name], weights)


@pytest.mark.parametrize("seed", [1, 3, 5, 7])
def test_a_rule_that_never_fires_leaves_the_network_as_it_is(seed):
    rule = EngineRule((product(7, 8, "u", "x1", "y1"),), (product(7, 8, "u", "t"),), k=9)  # fires at step 512
    still = random_stock_spec(seed, graded=False)
    plastic = tuple(replace(p, rule=rule, tag=5) for p in still.projections[:3])
    inputs = random_stock_inputs(still, seed, 1, 512)
    chip = LearningEmulator(replace(still, projections=plastic + still.projections[3:]))
    record = chip.run(inputs[0, :511])
    assert count_stock_differences(record, emulate(still, inputs[:, :511])) == EQUAL
    assert any(spikes.any() for name, spikes in record.spikes.items() if name.startswith("moving"))
    for projection in plastic:
        np.testing.assert_array_equal(chip.weights()[projection.name], projection.effective)
        assert (chip.tags()[projection.name] == 5).all()
    chip.run(inputs[0, 511:])
    assert any((chip.weights()[p.name] != p.effective).any() for p in plastic)


def test_a_network_without_rules_is_no_learning_chip():
    with pytest.raises(UserError, match="emulate"):
        LearningEmulator(random_stock_spec(0))


def test_a_network_that_learns_takes_no_biases():
    spec = random_learning_spec(3)
    name = next(p.name for p in spec.populations if isinstance(p.neuron, LIF))
    with pytest.raises(UserError, match="biases"):
        LearningEmulator(replace(spec, biased=(name,)))


def test_random_networks_cover_what_they_promise():
    specs = [random_stock_spec(seed) for seed in range(150)]
    projections = [projection for spec in specs for projection in spec.projections]
    assert any(p.source == p.target for p in projections)
    assert {p.sign_mode for p in projections} == {"mixed", "excitatory", "inhibitory"}
    assert {p.weight_bits for p in projections} == set(range(1, 9))
    assert any(p.message_bits for p in projections)
    neurons = [population.neuron for spec in specs for population in spec.populations]
    assert {type(neuron).__name__ for neuron in neurons} == {"SpikeInput", "LIF", "GradedRelu"}
    assert any(getattr(neuron, "reset_interval", 0) for neuron in neurons)
