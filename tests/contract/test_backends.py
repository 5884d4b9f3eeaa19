"""Every backend against the executable definition, on networks nobody has tuned: equal, not close."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.errors import UserError
from neuro.equilibrium.design import design_for
from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.equilibrium.sigma_delta import build_equilibrium
from sim.backends.checks import largest_current
from sim.backends.protocol import REGISTRY, get_backend
from sim.contract.currents import random_currents
from sim.contract.sigma_delta import any_spec, check_learning, check_run, random_images, random_rates, random_spec

SEEDS = st.integers(0, 2**32 - 1)
needs_lava = pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10")
EVERY = [pytest.param(name, marks=needs_lava) if name == "lava" else name for name in REGISTRY]
SIGMA_DELTA = [
    backend
    for name, backend in zip(REGISTRY, EVERY, strict=True)
    if "sigma-delta" in get_backend(name).capabilities.families
]


@settings(max_examples=80, deadline=None)
@given(SEEDS, st.integers(1, 3))
def test_events_runs_any_network_as_the_reference_does(seed, threads):
    spec = any_spec(seed)
    payloads, targets = random_images(spec, seed, 5)
    currents = random_currents(spec, seed, 5)
    check_run(
        get_backend("events"), spec, payloads, targets, seed=seed, first_image=seed % 1000, threads=threads,
        currents=currents,
    )  # fmt: skip
    check_run(get_backend("events"), spec, payloads, None, threads=threads)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 3), st.sampled_from([1, 2, 5]))
def test_events_learns_any_network_as_the_reference_does(seed, threads, batch_size):
    spec = any_spec(seed)
    payloads, targets = random_images(spec, seed, 9)
    rates = random_rates(spec, seed)
    check_learning(
        get_backend("events"), spec, payloads, targets, rates, seed=seed, batch_size=batch_size, threads=threads,
        currents=random_currents(spec, seed, 9) if seed % 2 else None,
    )  # fmt: skip


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(480)
@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_lava_runs_any_network_as_the_reference_does(seed):
    spec = any_spec(seed)
    payloads, targets = random_images(spec, seed, 3)
    differences = check_run(
        get_backend("lava"), spec, payloads, targets, seed=seed, first_image=seed % 1000,
        currents=random_currents(spec, seed, 3),
    )  # fmt: skip
    assert differences.n_images == 3


@pytest.mark.parametrize("rule", ["event", "end-point", "y3"])
@pytest.mark.parametrize("hidden", [(7,), (20, 6)])
def test_equilibrium_networks_learn_as_the_reference_does(rule, hidden):
    spec = build_equilibrium(design_for((5, 3), 4, hidden, rule=rule), 3)
    generator = np.random.default_rng(0)
    images = generator.random((12, 5, 3)).astype(np.float32)
    payloads = spec.encoder.encode(images)
    _, targets = random_images(spec, 1, 12)
    check_learning(get_backend("events"), spec, payloads, targets, random_rates(spec, 2), seed=9)


@pytest.mark.parametrize("name", ["events", "reference"])
def test_weights_restored_from_full_weights_are_equal(name):
    for seed in range(8):
        spec = any_spec(seed)
        payloads, targets = random_images(spec, seed, 6)
        rates = random_rates(spec, seed)
        with get_backend(name).open(spec) as first, get_backend(name).open(spec) as second:
            first.learn(payloads[:3], targets[:3], rates, seed=seed, first_image=0)
            second.restore(first.full_weights())
            for session in (first, second):
                session.learn(payloads[3:], targets[3:], rates, seed=seed, first_image=3)
            for projection, weights in first.weights().items():
                np.testing.assert_array_equal(second.weights()[projection], weights)


def test_random_networks_cover_what_they_promise():
    specs = [random_spec(seed) for seed in range(200)]
    projections = [(spec, projection) for spec in specs for projection in spec.projections]
    assert any(projection.source == projection.target for _, projection in projections)  # self-connection
    assert any(projection.transpose_of for _, projection in projections)
    assert {p.rule.name for _, p in projections if p.rule} == {"event", "end-point", "y3"}
    assert {p.rule.shadow_bits for _, p in projections if p.rule} == set(range(9))
    assert {p.weight_bits for _, p in projections} == set(range(2, 9))
    assert len({spec.shift_of(projection) for spec, projection in projections}) > 8
    assert any(not spec.plastic for spec in specs)


@pytest.mark.parametrize("name", SIGMA_DELTA)
def test_wrong_inputs_are_refused_in_one_line(name):
    spec = random_spec(0)
    payloads, targets = random_images(spec, 0, 2)
    limit = spec.population(spec.input).neuron.payload_limit
    with get_backend(name).open(spec) as session:
        for wrong in (payloads[:, :0], payloads[0], np.full_like(payloads, limit + 1)):
            with pytest.raises(UserError, match="payloads") as error:
                session.run(wrong, targets)
            assert "\n" not in str(error.value)
        with pytest.raises(UserError, match="targets"):
            session.run(payloads, targets[:1])


def test_wrong_currents_are_refused_in_one_line():
    spec = build_equilibrium(design_for((5, 3), 4, (7,)), 3)
    payloads, targets = random_images(spec, 0, 2)
    still, box = np.zeros((2, 7), np.int32), spec.unit("hidden1").upper - spec.unit("hidden1").lower
    assert largest_current(spec, "hidden1") == box
    with get_backend("reference").open(spec) as session:
        for currents, chosen, said in (
            ({"hidden9": still}, targets, "hidden9"),
            ({"output": np.zeros((2, 4), np.int32)}, targets, "output"),
            ({"hidden1": still[:1]}, targets, "shape"),
            ({"hidden1": still + box + 1}, targets, "lower weight"),
            ({"hidden1": still}, None, "without targets"),
        ):
            with pytest.raises(UserError, match=said) as error:
                session.run(payloads, chosen, currents=currents)
            assert "\n" not in str(error.value)
    with get_backend("snntorch").open(spec) as session, pytest.raises(UserError, match="takes no currents"):
        session.run(payloads, targets, currents={"hidden1": still})


@pytest.mark.parametrize("name", EVERY)
def test_a_backend_refuses_networks_of_another_family(name):
    backend = get_backend(name)
    stock = build_stock_network(StockDesign((2, 2), 2, (3,)), seed=0)
    for spec in (random_spec(0), stock):
        if name == "loihi2" and spec.family == "stock":
            continue  # needs a board: tests/hardware/board/test_backend.py
        if spec.family in backend.capabilities.families:
            backend.open(spec).close()
        else:
            with pytest.raises(UserError, match=f"backend {name}: it runs no {spec.family} networks"):
                backend.open(spec)


@pytest.mark.parametrize("name", SIGMA_DELTA)
def test_a_backend_learns_if_and_only_if_it_declares_it(name):
    spec, backend = random_spec(0), get_backend(name)
    images, rates = random_images(spec, 0, 2), random_rates(spec, 0)
    with backend.open(spec) as session:
        if backend.capabilities.learns:
            assert session.learn(*images, rates, seed=0, first_image=0).predictions.shape == (2,)
        else:
            with pytest.raises(UserError, match="learn"):
                session.learn(*images, rates, seed=0, first_image=0)
