"""Float equilibrium propagation, the oracle, is itself held to autograd, to its energy and to the integer network."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.errors import UserError
from neuro.base.metrics import cosine
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.layers import parse_layers
from neuro.spec.schedule import ORDERS
from sim.contract.alignment import gradient_cosines
from sim.contract.sigma_delta import random_spec
from sim.oracles.equilibrium import RateNetwork

KERNELS = "conv:2x3,pool:2,conv:3x2:valid,5"


def network_and_images(seed, hidden=(12,), n=6, **choices):
    layers = parse_layers(hidden) if isinstance(hidden, str) else hidden
    spec = build_equilibrium(design_for((4, 4), 3, layers, **choices), seed)
    generator = np.random.default_rng(seed)
    payloads = torch.tensor(spec.encoder.encode(generator.random((n, 4, 4)).astype(np.float32)).astype(np.int64))
    goal = torch.nn.functional.one_hot(torch.tensor(generator.integers(0, 3, n)), 3).double()
    return spec, RateNetwork(spec), payloads, goal


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(12,), (9, 7), KERNELS]))
def test_energy_never_rises_in_the_free_phase_for_small_steps(seed, hidden):
    _, network, payloads, _ = network_and_images(seed, hidden)
    sources = network.sources(payloads)
    states, before = None, None
    for _ in range(40):
        states = network.relax(sources, 1, start=states, step_size=0.1).states
        energy = network.energy(states)
        assert before is None or bool((energy <= before + 1e-12).all())
        before = energy


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_a_state_step_descends_the_energy_by_autograd(seed):
    _, network, payloads, _ = network_and_images(seed)
    sources = network.sources(payloads)
    start = network.relax(sources, 2).states
    free = {name: start[name].clone().requires_grad_(True) for name in ("hidden1", "output")}
    gradients = torch.autograd.grad(network.energy({**sources, **free}).sum(), list(free.values()))
    step = 1e-3
    moved = network.relax(sources, 1, start=start, step_size=step).states
    for name, gradient in zip(free, gradients, strict=True):
        inside = (start[name] > step) & (start[name] < 1 - step)
        expected = start[name] - step * gradient
        torch.testing.assert_close(moved[name][inside], expected[inside])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("hidden", [(12,), (9, 7), KERNELS])
@pytest.mark.parametrize("seed", range(3))
def test_the_contrastive_update_tends_to_autograd_as_the_nudge_vanishes(seed, hidden, order):
    """In even-odd order under a constant force, too."""
    _, network, payloads, goal = network_and_images(seed, hidden, order=order)
    truth = network.autograd_update(payloads, goal, steps=600)
    errors = []
    for nudge in (0.3, 0.03, 0.0003):  # small enough for units near an end of their box
        update = network.contrastive_update(payloads, goal, nudge, free_steps=600, nudged_steps=600)
        errors.append(max(float((update[name] - truth[name]).abs().max()) for name in truth))
    scale = max(float(part.abs().max()) for part in truth.values())
    assert errors[2] < 0.02 * scale
    assert errors[2] < errors[0] or errors[0] < 1e-9 * scale


def test_the_integer_update_of_kernels_points_along_their_gradient():
    spec, _, payloads, goal = network_and_images(3, KERNELS, 40)
    found = gradient_cosines(spec, payloads.numpy(), goal.argmax(1).numpy(), seed=0)
    assert len([p for p in spec.plastic if p.convolution is not None]) == 4
    assert min(found.values()) > 0.9, found


def test_a_zero_nudge_is_refused():
    _, network, payloads, goal = network_and_images(0)
    with pytest.raises(ValueError, match="nudge"):
        network.contrastive_update(payloads, goal, 0.0)


def test_a_network_without_an_energy_is_refused():
    asymmetric = next(
        spec
        for spec in map(random_spec, range(50))
        if any(
            p.source not in ("input", "bias")
            and p.transpose_of is None
            and p.name not in {q.transpose_of for q in spec.projections}
            for p in spec.projections
        )
    )
    with pytest.raises(UserError, match="no energy"):
        RateNetwork(asymmetric)


def test_cosine_of_parallel_orthogonal_and_opposite_vectors():
    a = np.array([[1.0, 2.0], [0.0, -1.0]])
    b = np.array([[2.0, -1.0], [5.0, 0.0]])
    assert cosine(a, 3 * a) == pytest.approx(1.0)
    assert cosine(a, b) == pytest.approx(0.0)
    assert cosine(a, -a) == pytest.approx(-1.0)
