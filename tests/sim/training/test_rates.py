"""Learning rates of layers: the first at the full rate, those that settle together at a share of it."""

from __future__ import annotations

import pytest

from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.layers import parse_layers
from sim.training.rates import projection_rates


@pytest.mark.parametrize("text", ["9", "9,7", "conv:3x3,pool:2,5", "conv:3x3,pool:2,conv:4x2"])
def test_layers_behind_the_first_learn_at_a_share_and_pooled_kernels_as_averages_do(text: str) -> None:
    spec = build_equilibrium(design_for((8, 8), 3, parse_layers(text)), 0)
    whole, half = projection_rates(spec, 1.0, 1.0), projection_rates(spec, 1.0, 0.5)
    for projection in spec.plastic:
        share = half[projection.name].value / whole[projection.name].value
        assert share == (1.0 if projection.target == "hidden1" else 0.5), projection.name
        pre, post = (spec.population(name).neuron for name in (projection.source, projection.target))
        unit = 2.0 ** (projection.exponent - pre.activation_bits - post.activation_bits) / (2 * spec.schedule.nudge)
        window = 4 if projection.convolution is not None and projection.convolution.pooled else 1
        assert whole[projection.name].value * window**2 == pytest.approx(unit, rel=0.15), projection.name
