"""A head for recordings: one more output, whose error the layer learns from as autograd says."""

import numpy as np
import pytest
import torch

from neuro.base.metrics import cosine
from neuro.equilibrium.design import design_for
from neuro.equilibrium.head import HEAD, with_head
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.layers import parse_layers
from sim.brain.guidance import cost_of, normalised
from sim.oracles.equilibrium import RateNetwork


@pytest.mark.parametrize("layers", ["12", "9,7", "conv:2x3,5"])
def test_a_head_is_an_output_that_feeds_back_and_leaves_the_rest_as_it_was(layers):
    spec = build_equilibrium(design_for((4, 4), 3, parse_layers(layers)), 0)
    both = with_head(spec, "hidden1", 6, 1)
    assert both.is_symmetric
    assert (both.output, both.n_classes, both.population(HEAD).shape) == ("output", 3, (6,))
    assert {p.name for p in both.plastic} - {p.name for p in spec.plastic} == {f"hidden1->{HEAD}", f"bias->{HEAD}"}
    up = both.projection(f"hidden1->{HEAD}")
    assert up.weights.any()
    np.testing.assert_array_equal(up.weights, with_head(spec, "hidden1", 6, 1).projection(up.name).weights)
    assert (up.weights != with_head(spec, "hidden1", 6, 2).projection(up.name).weights).any()


def test_its_error_teaches_the_layer_as_autograd_says():
    generator, n = np.random.default_rng(4), 24
    spec = with_head(build_equilibrium(design_for((4, 4), 3, (20,)), 0), "hidden1", 5, 0)
    responses = normalised(generator.standard_normal((n, 5)))
    cost, network = cost_of("head", 5, 5), RateNetwork(spec)
    payloads = torch.tensor(spec.encoder.encode(generator.random((n, 4, 4)).astype(np.float32)).astype(np.int64))
    goal = torch.nn.functional.one_hot(torch.tensor(generator.integers(0, 3, n)), 3).double()
    wanted = torch.tensor(cost.scale * responses)

    truth = network.autograd_update(
        payloads, goal, steps=300, cost_of=lambda states: 0.5 * (wanted - states[HEAD]).square().sum()
    )
    update = network.contrastive_update(
        payloads, goal, 0.02, free_steps=300, nudged_steps=300,
        forces_of=lambda states: {HEAD: torch.tensor(cost.force(states[HEAD].numpy(), responses))},
    )  # fmt: skip
    for name in truth:
        assert cosine(update[name].numpy(), truth[name].numpy()) > 0.999
