"""Twins of stock networks: the integers of `chip`, gradients by surrogates and by rates."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import snntorch
import torch

from neuro.equilibrium.design import design_for
from neuro.equilibrium.graded_relu import GradedDesign, GradedNetwork, open_boxes
from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.stock.processes import LIF
from sim.backends.protocol import get_backend
from sim.backends.stock.emulator import emulate
from sim.twins.base import margin_direction
from sim.twins.lif_unit import FloatNeuron, IntegerNeuron
from sim.twins.make import make_twin
from sim.twins.surrogates import SHAPES, Firing, Surrogate

LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def lif(seed=0, rule="R5"):
    return build_stock_network(StockDesign((4, 3), 3, (10,), rule=rule, squared_length=5.0), seed)


def graded(seed=0, hidden=(9,)):
    spec = open_boxes(build_equilibrium(design_for((4, 3), 3, hidden), seed), 4.0)
    return GradedNetwork(spec, GradedDesign())


NETWORKS = [lif(0), lif(1), graded(0), graded(1, (8, 5))]
IDS = ["lif 0", "lif 1", "graded", "graded deep"]


def some_images(seed, count=6):
    generator = np.random.default_rng(seed)
    return torch.tensor(generator.random((count, 4, 3)), dtype=torch.float32)


def gradient(twin, images):
    images = images.clone().requires_grad_(True)
    scores = twin(images)
    return torch.autograd.grad((scores * margin_direction(scores.detach(), LABELS)).sum(), images)[0]


def cosine(a, b):
    return torch.nn.functional.cosine_similarity(a.flatten(1).double(), b.flatten(1).double())


@pytest.mark.parametrize("network", NETWORKS, ids=IDS)
@pytest.mark.parametrize("name", ["straight-through", "atan", "assg", "rate"])
def test_integer_twins_compute_what_the_chip_computes(network, name):
    images = some_images(0, 40)
    with get_backend("chip").open(network, threads=1) as session:
        record = session.run(network.encoder.encode(images.numpy()))
    twin = make_twin(network, Surrogate(name))
    outputs = twin.outputs(images.requires_grad_(True))
    np.testing.assert_array_equal(outputs.states.detach().numpy() * twin.unit, record.output_states)
    np.testing.assert_array_equal(twin.predict(images).numpy(), record.predictions)
    assert len(np.unique(record.output_states, axis=0)) > 10


@pytest.mark.parametrize("network", NETWORKS, ids=IDS)
def test_relaxed_twins_stay_close_to_the_chip(network):
    images = some_images(1, 40)
    exact, relaxed = (make_twin(network, forward=mode).infer(images) for mode in ("integer", "relaxed"))
    scale = float(exact.scores.abs().mean())
    assert float((exact.scores - relaxed.scores).abs().mean()) < 0.1 * scale
    assert bool((exact.scores != relaxed.scores).any())


@pytest.mark.parametrize("name", [*SHAPES, "straight-through", "assg", "pdsg", "rate"])
@pytest.mark.parametrize("forward", ["integer", "relaxed"])
def test_every_surrogate_gives_a_finite_gradient_that_is_not_zero(name, forward):
    found = gradient(make_twin(lif(), Surrogate(name), forward), some_images(2))
    assert bool(torch.isfinite(found).all())
    assert bool((found.flatten(1).abs().sum(dim=1) > 0).all())


@pytest.mark.parametrize("network", NETWORKS, ids=IDS)
def test_the_default_gradient_raises_the_score_of_the_deployed_integers(network):
    images = 0.2 + 0.6 * some_images(3)
    twin, step = make_twin(network), 0.15 * gradient(make_twin(network), images).sign()
    direction = margin_direction(twin(images).detach(), LABELS)
    up, down = (twin.infer(images + s * step).scores for s in (1, -1))
    assert bool((((up - down) * direction).sum(dim=1) > 0).all())


def test_gradients_by_rates_are_those_of_a_piecewise_linear_rate_model():
    network = lif()
    twin, images = make_twin(network, Surrogate("rate")), some_images(4)
    pixels = images.clone().requires_grad_(True)
    scores = twin(pixels)
    (found,) = torch.autograd.grad(scores[:, 1].sum(), pixels)
    rates = torch.cat([twin.payloads(images), torch.full((6, 1), 32.0)], dim=1).double() / (network.spacing * 32)
    weights = {p.name: torch.tensor(p.effective.astype(float)) * 2.0**p.exponent for p in network.inference.projections}
    threshold = network.population("hidden").neuron.threshold / 2  # half of a current is kept
    with get_backend("chip").open(network, threads=1) as session:
        spikes = session.run(network.encoder.encode(images.numpy()), keep_spikes=True).spikes
    counts = {name: np.zeros((6, network.population(name).size)) for name in ("hidden", "output")}
    names = [p.name for p in network.populations]
    for image, _, population, neuron, _ in spikes.rows():
        if names[population] in counts:
            counts[names[population]][image, neuron] += 1
    measured = {name: torch.tensor(count / network.free_steps) for name, count in counts.items()}
    slopes = {
        "hidden": rates @ weights["input->hidden"] + measured["output"] @ weights["output->hidden"],
        "output": measured["hidden"] @ weights["hidden->output"],
    }
    slopes = {name: ((i >= 0) & (i <= threshold)) / threshold for name, i in slopes.items()}
    to_hidden = torch.zeros(6, 10, dtype=torch.float64)
    to_score = weights["hidden->output"][:, 1] / threshold
    for _ in range(4):  # adjoint of 8 sweeps: a loop takes two
        back = (to_hidden * slopes["hidden"]) @ weights["output->hidden"].T * slopes["output"]
        to_hidden = to_score + back @ weights["hidden->output"].T
    wanted = (to_hidden * slopes["hidden"]) @ weights["input->hidden"].T[:, :-1] / network.spacing
    torch.testing.assert_close(found, wanted.reshape(found.shape).float(), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("network", [NETWORKS[0], NETWORKS[2]], ids=["lif", "graded"])
@pytest.mark.parametrize("name", ["triangular", "assg"])
def test_checkpointing_changes_memory_only(network, name):
    twins = [make_twin(network, Surrogate(name), checkpoint_steps=n) for n in (0, 7)]
    for _ in range(2):
        whole, part = (gradient(twin, some_images(5)) for twin in twins)
        torch.testing.assert_close(part, whole, rtol=1e-6, atol=0)


def test_gradients_of_graded_twins_are_those_of_the_relaxation_and_of_finite_differences():
    network = graded()
    images = 0.1 + 0.8 * some_images(6).double()
    relaxed = make_twin(network, forward="relaxed")
    truth = gradient(relaxed, images)
    direction = torch.tensor(np.random.default_rng(0).normal(size=images.shape))
    with torch.no_grad():
        loss = margin_direction(relaxed(images), LABELS)
        rise = ((relaxed(images + 1e-6 * direction) - relaxed(images - 1e-6 * direction)) * loss).sum(dim=1) / 2e-6
    torch.testing.assert_close((truth * direction).flatten(1).sum(dim=1), rise, rtol=1e-5, atol=1e-8)
    assert float(cosine(gradient(make_twin(network), images), truth).min()) > 0.99
    assert float(cosine(gradient(make_twin(network, Surrogate("rate")), images), truth).min()) > 0.99


def test_an_attack_may_take_more_steps_than_an_inference():
    network, images = lif(), some_images(7)
    steps = 2 * network.free_steps
    populations = tuple(
        replace(p, neuron=replace(p.neuron, reset_interval=0)) if isinstance(p.neuron, LIF) else p
        for p in network.inference.populations
    )
    graph = replace(network.inference, populations=populations)
    spikes = emulate(graph, network.trains(network.encoder.encode(images.numpy()), steps), 1).spikes["output"]
    twin = make_twin(network, steps=steps)
    np.testing.assert_array_equal(twin.outputs(images).states.numpy(), spikes.sum(axis=1))
    np.testing.assert_array_equal(twin.infer(images).states.numpy(), spikes[:, : network.free_steps].sum(axis=1))


def test_twins_leave_nothing_on_the_list_of_snntorch_and_can_be_copied_after_use():
    before = len(snntorch.SpikingNeuron.instances)
    for mode in ("integer", "relaxed"):
        twin = make_twin(lif(), forward=mode)
        images = some_images(8)
        gradient(twin, images)
        assert torch.equal(copy.deepcopy(twin)(images), twin(images))
        assert len(snntorch.SpikingNeuron.instances) == before


@pytest.mark.parametrize("bias", [0, 37])
def test_float_neurons_follow_the_equations_of_the_chip_without_rounding(bias):
    neuron = LIF(current_decay=2047, voltage_decay=127, threshold=30, bias_mantissa=bias)
    floats, integers = FloatNeuron(neuron, Firing(Surrogate())), IntegerNeuron(neuron, Firing(Surrogate()), 100.0)
    generator = torch.Generator().manual_seed(0)
    drives = torch.randint(-20, 40, (50, 1, 8), generator=generator).double()
    u = v = torch.zeros(1, 8, dtype=torch.float64)
    chip_u, chip_v, fired = u, v, 0.0
    for time, drive in enumerate(drives):
        wanted_u = u * (2048 / 4096) + 64 * drive
        wanted_v = v * (3969 / 4096) + wanted_u + bias
        wanted_s = (wanted_v > 30 * 64).double()
        spikes, u, v = floats(drive, u, v, time)
        torch.testing.assert_close(u, wanted_u, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(v, wanted_v * (1 - wanted_s), rtol=1e-6, atol=1e-6)
        assert torch.equal(spikes, wanted_s)
        chip_s, chip_u, chip_v = integers(drive, chip_u, chip_v, time)
        assert torch.equal(chip_u, chip_u.trunc())
        assert torch.equal(chip_v, chip_v.trunc())
        fired += float(chip_s.sum())
    assert fired > 20
