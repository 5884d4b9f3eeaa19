"""Graded networks of stock processes: their equation, their equilibrium, their gradient, and Lava itself."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Lasso

from neuro.base.metrics import accuracy, cosine
from neuro.coding.graded_relu import sparse_coder
from neuro.data.sets import load_dataset, split_validation
from neuro.equilibrium.design import EquilibriumDesign
from neuro.equilibrium.graded_relu import GradedDesign, contrastive_update, graded_from, open_boxes, output_forces
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.stock.graded import present, readout
from sim.backends.lava.stock.run import run_stock_in_lava
from sim.backends.protocol import get_backend, one_hot_targets
from sim.backends.stock.emulator import emulate
from sim.contract.stock import count_stock_differences
from sim.oracles.equilibrium import RateNetwork
from sim.training.config import TrainConfig
from sim.training.rates import projection_rates, squared_length
from sim.training.recipe import build_network
from sim.training.trainer import Choices

EQUAL = {"spikes": 0, "u": 0, "v": 0}
UPPER = 8.0
needs_lava = pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10")


def small_case(seed: int):
    """A random network of one or two hidden layers and payloads for it."""
    generator = np.random.default_rng(seed)
    hidden = tuple(int(n) for n in generator.integers(2, 8, generator.integers(1, 3)))
    design = EquilibriumDesign((6,), 3, hidden, hidden_gain=0.4, output_gain=0.4)  # couplings below 1: it settles
    return open_boxes(build_equilibrium(design, seed), 4.0), generator.integers(0, 33, (3, 6))


@pytest.fixture(scope="module")
def digits() -> SimpleNamespace:
    """A network, 32 hidden, that has learned 400 digits with open boxes; payloads and labels of others."""
    data = load_dataset("digits", 0)
    split = split_validation(data.y_train, 0)
    choices = Choices(1.4, centred=True, exponent_offset=1)
    spec = open_boxes(build_network(data, TrainConfig(hidden=(32,)), choices, split), UPPER)
    payloads, labels = spec.encoder.encode(data.x_train), data.y_train
    rates = projection_rates(spec, choices.learning_rate / squared_length(spec.encoder, payloads), 0.125)
    with get_backend("events").open(spec, threads=1) as session:
        session.learn(payloads[:400], one_hot_targets(spec, labels[:400]), rates, seed=0, first_image=0)
        spec = spec.with_weights(session.weights())
    return SimpleNamespace(spec=spec, payloads=payloads[400:], labels=labels[400:])


def nudged_inputs(stock, spec, design, payloads, labels):
    """Inputs of all three phases; the force comes from a free run."""
    free = emulate(stock, present(stock, payloads, design.free_steps)).spikes
    output = readout(stock, free, spec.output, design.free_steps)
    forces = output_forces(design, output, np.eye(spec.n_classes)[labels])
    return present(stock, payloads, design.all_steps, forces)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(8, 14), st.integers(1, 3))
def test_every_step_is_the_equation_but_for_rounding(seed, state_bits, step_shift):
    spec, payloads = small_case(seed)
    design = GradedDesign(state_bits, step_shift, free_steps=25)
    stock = graded_from(spec, design)
    spikes = emulate(stock, present(stock, payloads, design.free_steps)).spikes
    network = RateNetwork(spec)
    sources = network.sources(torch.tensor(payloads))
    moving = [name for name in spikes if name.startswith(("hidden", "output"))]
    allowed = 4 / design.one  # units: at most four shifts, less what is given back
    for step in range(2, design.free_steps):
        start = {name: torch.tensor(spikes[name][:, step - 1] / design.one) for name in moving}
        wanted = network.relax(sources, 1, start=start, step_size=2.0**-step_shift).states
        for name in moving:
            assert np.abs(spikes[name][:, step] / design.one - wanted[name].numpy()).max() <= allowed


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_the_free_phase_ends_where_the_float_network_does(seed):
    spec, payloads = small_case(seed)
    design = GradedDesign(14, free_steps=200)
    stock = graded_from(spec, design)
    spikes = emulate(stock, present(stock, payloads, design.free_steps)).spikes
    network = RateNetwork(spec)
    wanted = network.relax(network.sources(torch.tensor(payloads)), 300).states
    for name in ("hidden1", "output"):
        found = readout(stock, spikes, name, design.free_steps) / design.one
        np.testing.assert_allclose(found, wanted[name].numpy(), atol=0.003)


def test_predictions_are_those_of_the_float_network(digits):
    stock = graded_from(digits.spec, GradedDesign())
    spikes = emulate(stock, present(stock, digits.payloads, 30)).spikes
    found = readout(stock, spikes, "output", 30).argmax(1)
    network = RateNetwork(digits.spec)
    wanted = network.relax(network.sources(torch.tensor(digits.payloads.astype(np.int64))), 100).states["output"]
    assert np.mean(found == wanted.argmax(1).numpy()) >= 0.995
    assert accuracy(found, digits.labels).value >= 0.8


@pytest.mark.parametrize("nudge", [0.25, 0.1])
def test_the_contrastive_update_points_along_the_gradient(digits, nudge):
    design = GradedDesign(nudge=nudge)
    payloads, labels = digits.payloads[:200], digits.labels[:200]
    stock = graded_from(digits.spec, design)
    inputs = nudged_inputs(stock, digits.spec, design, payloads, labels)
    update = contrastive_update(digits.spec, design, emulate(stock, inputs).spikes)
    network, goal = RateNetwork(digits.spec), torch.eye(10)[torch.tensor(labels, dtype=torch.int64)]
    x = torch.tensor(payloads.astype(np.int64))
    truth = network.autograd_update(x, goal, steps=200)
    float_update = network.contrastive_update(x, goal, nudge, 200, 200)
    assert set(update) == set(truth)
    for name, change in update.items():
        assert cosine(change, truth[name].numpy()) >= 0.98
        assert cosine(change, float_update[name].numpy()) >= 0.99
        assert np.linalg.norm(change) == pytest.approx(float(truth[name].norm()), rel=0.1)


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(180)
def test_free_and_nudged_phases_run_as_in_lava(digits):
    design = GradedDesign(free_steps=20, nudged_steps=10)
    stock = graded_from(digits.spec, design)
    inputs = nudged_inputs(stock, digits.spec, design, digits.payloads[:3], digits.labels[:3])
    record = emulate(stock, inputs)
    assert count_stock_differences(record, run_stock_in_lava(stock, inputs).record) == EQUAL
    assert (record.spikes["output"] != 0).any()
    assert (record.spikes["output"][:, 19] != record.spikes["output"][:, -1]).any()  # the nudge moved it


def sparse_case(seed: int):
    """A random dictionary of unit atoms and payloads of sparse combinations of them."""
    generator = np.random.default_rng(seed)
    dictionary = generator.normal(size=(24, 32))
    dictionary /= np.linalg.norm(dictionary, axis=0)
    codes = np.abs(generator.normal(size=(4, 32))) * (generator.random((4, 32)) < 0.15)
    images = codes @ dictionary.T
    return dictionary, np.round(images / np.abs(images).max() * 127).astype(np.int64)


@pytest.mark.parametrize("seed", range(4))
def test_sparse_codes_are_those_of_lasso(seed):
    dictionary, payloads = sparse_case(seed)
    threshold, steps, images = 0.05, 600, payloads / 128
    stock = sparse_coder(dictionary, threshold)
    spikes = emulate(stock, present(stock, payloads, steps)).spikes
    codes = readout(stock, spikes, "code", steps) / 2**14

    def objective(code):
        return 0.5 * np.square(images - code @ dictionary.T).sum(1) + threshold * code.sum(1)

    lasso = Lasso(threshold / len(dictionary), positive=True, fit_intercept=False, max_iter=100_000, tol=1e-6)
    wanted = objective(np.stack([lasso.fit(dictionary, image).coef_ for image in images]))
    assert (codes > 0).any()
    assert (objective(codes) <= 1.01 * wanted).all()
    assert objective(0 * codes).sum() > 3 * wanted.sum()


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(120)
def test_sparse_codes_are_those_of_lava():
    dictionary, payloads = sparse_case(0)
    stock = sparse_coder(dictionary, 0.05)
    inputs = present(stock, payloads[:2], 60)
    assert count_stock_differences(emulate(stock, inputs), run_stock_in_lava(stock, inputs).record) == EQUAL
