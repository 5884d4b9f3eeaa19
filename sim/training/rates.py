"""From a real learning rate to the integer rates of every projection."""

from __future__ import annotations

import math

import numpy as np

from neuro.base.arrays import Integers
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.neurons import Source
from neuro.spec.plasticity import Rate, rate_for
from neuro.spec.sigma_delta import NetworkSpec


def projection_rates(
    spec: NetworkSpec, learning_rate: float, output_share: float, bias_share: float = 1.0
) -> dict[str, Rate]:
    """Integer rates for all plastic projections from a real learning rate of the first hidden layer.

    output_share: of the layers behind it, which settle together: the output and, in deep networks, hidden ones.
    A pooled kernel learns as the kernel of an average would. bias_share: of the biases of maps.
    """
    moving = {population.name for population in spec.moving}
    behind = {p.target for p in spec.plastic if p.source in moving}
    rates = {}
    for projection in spec.plastic:
        pre, post = spec.population(projection.source).neuron, spec.unit(projection.target)
        assert projection.rule is not None  # plastic
        post_bits = post.state_bits if projection.rule.uses_state_difference else post.activation_bits
        share = output_share if projection.target in behind or projection.target == spec.output else 1.0
        if projection.convolution is not None and isinstance(pre, Source) and pre.constant is not None:
            share *= bias_share
        if projection.convolution is not None:  # a weight of a sum is that of an average, divided by the window
            share /= math.prod(projection.convolution.pool) ** 2
        rates[projection.name] = rate_for(
            learning_rate * share, spec.schedule.nudge, projection.exponent, pre.activation_bits, post_bits
        )
    return rates


def squared_length(encoder: PixelEncoder, payloads: Integers) -> float:
    """The mean over images of |x|^2 in real units, plus 1 for the bias: the scale of learning rates."""
    return 1.0 + float(np.mean(np.sum(encoder.squares(payloads), axis=1)))
