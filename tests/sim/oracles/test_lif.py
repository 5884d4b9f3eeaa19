"""The float model of stock EP networks: against spike counts, and its update against autograd."""

import numpy as np
import pytest
import torch

from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.stock.processes import LIF, SpikeInput, StockPopulation, StockProjection, StockSpec
from sim.backends.stock.emulator import emulate
from sim.oracles.lif import LifRateNetwork, firing_rate, input_rates, teacher


def network(**more):
    return build_stock_network(StockDesign((6, 6), 4, (20,), squared_length=12.0, **more), seed=3)


def images(count):
    return np.random.default_rng(0).integers(0, 33, (count, 36)) * (np.random.default_rng(1).random((count, 36)) < 0.6)


def test_rates_are_those_that_the_spikes_settle_to():
    net, payloads = network(), images(40)
    record = emulate(net.inference, net.trains(payloads, net.schedule.free_steps))
    float_rates = LifRateNetwork.of(net).relax(input_rates(net, payloads))
    for name in ("hidden", "output"):
        counted = record.spikes[name][:, 32:].mean(axis=1)
        wanted = float_rates[name].numpy()
        assert np.corrcoef(counted.ravel(), wanted.ravel())[0, 1] > 0.97
        assert abs(counted.mean() - wanted.mean()) < 0.15 * wanted.mean() + 0.01


def test_update_tends_to_the_gradient():
    net = network(feedback_shift=0)  # with unequal gains there is an energy only after rescaling
    inputs = input_rates(net, images(12))
    labels = torch.eye(4, dtype=torch.float64)[torch.arange(12) % 4]
    model = LifRateNetwork.of(net)
    shared = {p.name: model.weights[p.name] for p in net.plastic}
    forward = {name: values.clone().requires_grad_() for name, values in shared.items() if name != "output->hidden"}
    tied = {**forward, "output->hidden": forward["hidden->output"].T}
    rates = LifRateNetwork(net, tied).relax(inputs)
    target, inhibit = teacher(net)
    cost = 0.5 * inhibit * ((target * labels - rates["output"]) ** 2).sum()
    gradients = dict(zip(forward, torch.autograd.grad(cost, list(forward.values())), strict=True))
    update = model.update(inputs, labels, nudge=1e-3)
    for name, gradient in gradients.items():
        wanted = -gradient.numpy()
        cosine = float((wanted * update[name]).sum() / np.linalg.norm(wanted) / np.linalg.norm(update[name]))
        assert cosine > 0.99, (name, cosine)


@pytest.mark.parametrize("drive", [0.0, 5.0, 60.0, 400.0])
def test_firing_rate_is_that_of_a_neuron_driven_steadily(drive):
    neuron = LIF(2047, 127, 400)
    weight = np.full((1, 1), round(drive / 2) * 2, dtype=np.int16) if drive < 250 else np.full((1, 1), 200, np.int16)
    shift = 0 if drive < 250 else 1
    spec = StockSpec(
        (StockPopulation("in", (1,), SpikeInput()), StockPopulation("out", (1,), neuron)),
        (StockProjection("w", "in", "out", weight, exponent=shift),),
    )
    counted = emulate(spec, np.ones((1, 2000, 1), dtype=np.int8)).spikes["out"].mean()
    wanted = float(firing_rate(neuron, torch.tensor(float(weight[0, 0]) * 2**shift)))
    assert counted == pytest.approx(wanted, rel=0.2, abs=1e-3)
