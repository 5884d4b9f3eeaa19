"""The snntorch backend against the executable definition and the chip's integers: equal, not close."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.errors import UserError
from neuro.equilibrium.design import design_for
from neuro.equilibrium.graded_relu import GradedDesign, GradedNetwork, open_boxes
from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.equilibrium.sigma_delta import build_equilibrium
from sim.backends.protocol import get_backend
from sim.backends.record import compare
from sim.backends.snn import backend as snn_torch
from sim.backends.snn.backend import build_graph, run_stock
from sim.backends.stock.emulator import emulate
from sim.contract.sigma_delta import any_spec, check_run, random_images, random_spec
from sim.contract.stock import count_stock_differences, random_stock_inputs, random_stock_spec

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_it_runs_any_sigma_delta_network_as_the_reference_does(seed):
    spec = any_spec(seed)
    payloads, targets = random_images(spec, seed, 5)
    check_run(get_backend("snntorch"), spec, payloads, targets, seed=seed, first_image=seed % 1000)
    check_run(get_backend("snntorch"), spec, payloads, None)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_it_runs_any_stock_network_as_the_chip_does(seed):
    spec = random_stock_spec(seed)
    inputs = random_stock_inputs(spec, seed, 3, 60)
    differences = count_stock_differences(emulate(spec, inputs, 1), run_stock(build_graph(spec), inputs))
    assert not any(differences.values()), differences


def stock_networks():
    graded = open_boxes(build_equilibrium(design_for((4, 3), 3, (9,)), 0), 4.0)
    return [
        build_stock_network(StockDesign((4, 3), 3, (10,), squared_length=5.0), 0),
        build_stock_network(StockDesign((4, 3), 3, (6, 5), rule="deferred", squared_length=5.0), 1),
        GradedNetwork(graded, GradedDesign()),
    ]


@pytest.mark.parametrize("network", stock_networks(), ids=["R5", "deferred", "graded"])
def test_it_runs_stock_networks_through_all_phases_as_the_chip_does(network, monkeypatch):
    monkeypatch.setattr(snn_torch, "AT_ONCE", 7)
    count = 10  # more than one batch
    payloads = network.encoder.encode(np.random.default_rng(0).random((count, 4, 3)))
    targets = np.eye(3, dtype=np.int32)[np.arange(count) % 3]
    for goal in (None, targets):
        records = []
        for name in ("chip", "snntorch"):
            with get_backend(name).open(network, threads=1) as session:
                records.append(session.run(payloads, goal, keep_states=True, keep_spikes=True))
        assert compare(*records).total == 0
        assert compare(*records).n_spikes > 0
        for field in ("output_states", "settled"):
            np.testing.assert_array_equal(getattr(records[0], field), getattr(records[1], field))
        for name, counts in records[0].spike_counts.items():
            np.testing.assert_array_equal(records[1].spike_counts[name], counts)


def test_batches_are_numbered_on(monkeypatch):
    monkeypatch.setattr(snn_torch, "AT_ONCE", 7)
    spec = random_spec(1)
    payloads, targets = random_images(spec, 1, 17)
    check_run(get_backend("snntorch"), spec, payloads, targets, seed=4, first_image=9)
    assert get_backend("snntorch").open(spec).run(payloads[:0]).n_images == 0


def test_it_learns_neither_family():
    sigma_delta, stock = random_spec(0), stock_networks()[0]
    for spec in (sigma_delta, stock):
        with get_backend("snntorch").open(spec) as session, pytest.raises(UserError, match="it does not learn"):
            session.learn(np.zeros((1, spec.n_inputs)), np.zeros((1, spec.n_classes)), {}, seed=0, first_image=0)
    with get_backend("snntorch").open(sigma_delta) as session:
        assert session.weights().keys() == {p.name for p in sigma_delta.projections if p.weights is not None}
        for refused in (session.full_weights, lambda: session.restore({})):
            with pytest.raises(UserError, match="it does not learn"):
                refused()


def test_wrong_stock_inputs_are_refused():
    network = stock_networks()[0]
    with get_backend("snntorch").open(network) as session, pytest.raises(UserError, match="payloads"):
        session.run(np.zeros((2, 5), dtype=np.int16))
