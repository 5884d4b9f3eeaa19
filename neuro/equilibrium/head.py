"""A second output: a population that is nudged towards recordings, and learns to answer as the neurons do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neuro.base.fixed_point import quantize, weight_limit
from neuro.base.scales import glorot_bound
from neuro.spec.graph import Population
from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec

HEAD = "recorded"  # the population
BOX = (-1, 2)  # of its units, in real values: recordings less their mean have both signs
GAIN = 0.1  # of its first weights: what has not learned yet is not to disturb the labels


def with_head(spec: NetworkSpec, layer: str, n_units: int, seed: int) -> NetworkSpec:
    """The network with a population "recorded" of `n_units` that `layer` feeds, all to all, and that feeds back.

    Its units (but for their box), weights and rules are those of the output; its biases begin at 0. It has no label:
    what it is nudged to are currents (`sim.backends.presentation`). Same network and seed: same head.
    """
    population, (to_output,) = spec.population(layer), [p for p in spec.plastic if _is_output(spec, p)]
    (bias,) = [p for p in spec.plastic if p.target == spec.output and p is not to_output]
    limit, shape = weight_limit(to_output.weight_bits), (population.size, n_units)
    bound = glorot_bound(*shape, GAIN)
    drawn = np.random.default_rng([seed, 0x4EAD]).uniform(-bound, bound, shape)
    weights = quantize(drawn, to_output.exponent, -limit, limit).astype(np.int8)
    up = replace(to_output, name=f"{layer}->{HEAD}", source=layer, target=HEAD, weights=weights, convolution=None)
    down = Projection(f"{HEAD}->{layer}", HEAD, layer, up.exponent, None, up.weight_bits, transpose_of=up.name)
    own = replace(bias, name=f"{bias.source}->{HEAD}", target=HEAD, weights=np.zeros((1, n_units), dtype=np.int8))
    unit = spec.unit(spec.output)
    head = Population(HEAD, (n_units,), replace(unit, lower=BOX[0] * unit.one, upper=BOX[1] * unit.one))
    return replace(spec, populations=(*spec.populations, head), projections=(*spec.projections, up, down, own))


def _is_output(spec: NetworkSpec, projection: Projection) -> bool:
    """Whether a projection goes from a hidden layer to the output."""
    return projection.target == spec.output and projection.source in {p.name for p in spec.moving}
