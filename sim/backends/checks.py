"""What every backend that learns refuses, in the same words."""

from __future__ import annotations

import math
from collections.abc import Mapping

from neuro.base.errors import UserError
from neuro.base.fixed_point import INT32_MAX
from neuro.spec.plasticity import Rate
from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec


def check_learning(spec: NetworkSpec, rates: Mapping[str, Rate]) -> None:
    """Raise UserError if `spec` cannot learn with `rates`: too few phases, or a change that could leave 32 bits."""
    if len(spec.schedule.phases) < 3:
        raise UserError("learning needs a schedule of a free phase and two nudged phases")
    check_rates(spec, rates)


def check_rates(spec: NetworkSpec, rates: Mapping[str, Rate]) -> None:
    """Raise UserError if a learning rate could overflow the 32 bits in which the kernels round a change."""
    for projection in spec.plastic:
        rule, rate = projection.rule, rates[projection.name]
        pre, post = spec.population(projection.source).neuron, spec.unit(projection.target)
        assert rule is not None  # plastic
        reach = post.upper - post.lower if rule.uses_state_difference else 2 * post.payload_limit
        gain = rate.mantissa << max(rule.shadow_bits - rate.exponent, 0)
        synapses = n_sharing(spec, projection)
        if synapses * pre.payload_limit * reach * gain + (1 << rate.exponent) > INT32_MAX:
            raise UserError(f"learning rate of {projection.name}: {rate} overflows 32 bits; lower the learning rate")


def n_sharing(spec: NetworkSpec, projection: Projection) -> int:
    """Return how many synapses share a weight, at most: one for each position, before pooling, of a kernel."""
    if projection.convolution is None:
        return 1
    positions = projection.convolution.positions(spec.population(projection.source).shape)
    return math.prod(positions) * math.prod(projection.convolution.pool)
