"""Costs on a hidden layer: their forces are minus their gradients, and equilibrium propagation follows them."""

import numpy as np
import pytest
import torch

from neuro.base.metrics import cosine
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from sim.brain.guidance import FEWEST, controlled, cost_of, normalised, recorded
from sim.oracles.equilibrium import RateNetwork

COSTS = ("cka", "pairs", "readout")


@pytest.fixture
def responses():
    return normalised(np.random.default_rng(1).standard_normal((7, 5)))


@pytest.fixture
def states():
    return np.random.default_rng(2).random((7, 6))


def learned(name, states, responses):
    cost = cost_of(name, states.shape[1], responses.shape[1])
    for _ in range(3):
        cost.learn(states, responses)
    return cost


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("name", COSTS)
def test_a_force_is_minus_the_gradient_of_its_cost(name, missing, states, responses):
    if missing:
        responses[2, 3] = responses[4, 0] = np.nan
    cost, step = learned(name, states, responses), 1e-6
    slopes = np.zeros_like(states)
    for index in np.ndindex(*states.shape):
        for sign in (1, -1):
            moved = states.copy()
            moved[index] += sign * step
            slopes[index] += sign * cost.value(moved, responses) / (2 * step)
    np.testing.assert_allclose(cost.force(states, responses), -slopes, atol=1e-7)
    assert np.abs(slopes).max() > 1e-3


@pytest.mark.parametrize("name", COSTS)
def test_images_without_recordings_feel_nothing(name, states, responses):
    cost = learned(name, states, responses)
    responses[[1, 4]] = np.nan
    force, known = cost.force(states, responses), recorded(responses)
    assert not force[~known].any()
    np.testing.assert_array_equal(force[known], cost.force(states[known], responses[known]))
    few = np.where(np.arange(7)[:, None] < FEWEST - 1, responses, np.nan)
    assert cost.compares != bool(cost.force(states, few).any())


@pytest.mark.parametrize("name", COSTS)
def test_what_does_not_vary_pulls_nowhere(name, states, responses):
    flat = np.ones_like(states)
    assert np.isfinite(learned(name, flat, responses).force(flat, responses)).all()
    assert np.isfinite(learned(name, states, 0 * responses).force(states, 0 * responses)).all()


def test_a_head_is_pulled_to_the_recordings_and_nowhere_where_there_are_none(states, responses):
    cost = cost_of("head", 5, 5)
    responses[2, 3] = np.nan
    force = cost.force(states[:, :5], responses)
    assert force[2, 3] == 0
    expected = cost.scale * responses - states[:, :5]
    np.testing.assert_array_equal(force[np.isfinite(responses)], expected[np.isfinite(responses)])
    assert np.nanstd(cost.scale * responses) == pytest.approx(0.5, rel=0.1)
    assert cost.value(states[:, :5], responses) == pytest.approx(0.5 * np.sum(np.square(force)))


def test_a_readout_learns_a_linear_code_and_then_says_so():
    generator = np.random.default_rng(3)
    states = generator.random((200, 6))
    wanted = normalised(states @ generator.standard_normal((6, 5)))
    readout = cost_of("readout", 6, 5)
    start = readout.value(states, wanted)
    for _ in range(3000):
        readout.learn(states, wanted)
    assert readout.value(states, wanted) < 0.1 * start
    other = cost_of("readout", 6, 5)
    other.restore(readout.arrays())
    np.testing.assert_array_equal(other.force(states, wanted), readout.force(states, wanted))


def test_equilibrium_propagation_follows_task_and_guide_as_autograd_does():
    """Cosine of the update with autograd of the sum of both costs, at a nudge of .02 and at .05."""
    n, spec = 24, build_equilibrium(design_for((4, 4), 3, (40,)), 0)
    responses = normalised(np.random.default_rng(1).standard_normal((n, 5)))
    network, generator = RateNetwork(spec), np.random.default_rng(4)
    payloads = torch.tensor(spec.encoder.encode(generator.random((n, 4, 4)).astype(np.float32)).astype(np.int64))
    goal = torch.nn.functional.one_hot(torch.tensor(generator.integers(0, 3, n)), 3).double()
    wanted = torch.tensor(responses)
    cost = cost_of("cka", 40, 5)

    def alignment(states):
        grams = [rows @ rows.T for rows in (v - v.mean(0) for v in (states["hidden1"], wanted))]
        return n * (1 - (grams[0] * grams[1]).sum() / (grams[0].norm() * grams[1].norm()))

    def forces(states):
        return {"hidden1": torch.tensor(cost.force(states["hidden1"].numpy(), responses))}

    truth = network.autograd_update(payloads, goal, steps=300, cost_of=alignment)
    alone = network.autograd_update(payloads, goal, steps=300)
    for nudge in (0.02, 0.05):
        update = network.contrastive_update(payloads, goal, nudge, free_steps=300, nudged_steps=300, forces_of=forces)
        for name in truth:
            assert cosine(update[name].numpy(), truth[name].numpy()) > 0.999
    apart = truth["input->hidden1"] - alone["input->hidden1"]
    assert apart.norm() > 0.25 * truth["input->hidden1"].norm()  # the guide decides much of it


def test_recordings_are_centred_by_unit_and_never_scaled_by_it():
    raw = np.random.default_rng(5).standard_normal((50, 4)) * [1, 2, 3, 0] + 7
    raw[3] = np.nan
    less = normalised(raw)
    np.testing.assert_allclose(np.nanmean(less, axis=0), 0, atol=1e-12)
    assert np.nansum(np.square(less)) == pytest.approx(49)
    spread, before = np.nanstd(less, axis=0), np.nanstd(raw, axis=0)
    np.testing.assert_allclose(spread * before[0], spread[0] * before)
    assert not less[recorded(less), 3].any()


def test_controls_keep_what_they_promise(responses):
    responses[2] = np.nan
    shuffled, noise = (controlled(responses, control, 0) for control in ("shuffled", "random"))
    known = recorded(responses)
    assert np.isnan(shuffled[2]).all()
    assert np.isnan(noise[2]).all()
    assert sorted(shuffled[known][:, 0]) == sorted(responses[known][:, 0])
    assert (shuffled[known] != responses[known]).any()
    assert noise[known].std() == pytest.approx(responses[known].std(), rel=0.6)
    np.testing.assert_array_equal(controlled(responses, "recorded", 0), responses)
    np.testing.assert_array_equal(controlled(responses, "random", 0), noise)
