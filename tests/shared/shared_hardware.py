"""Chips of other sizes, and where a specification says that there are synapses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hardware.chip.blocks import blocks_of
from hardware.chip.limits import Constant, Limits, limits_of
from hardware.placement.partition import partition
from hardware.placement.placement import Placement
from neuro.base.errors import UserError
from neuro.spec.sigma_delta import NetworkSpec

LAVA = limits_of("loihi2-lava")


def limited(**values: int) -> Limits:
    """The limits of a chip with other numbers."""
    return replace(LAVA, **{name: Constant(value, "", "I", "a test") for name, value in values.items()})


def small_limits(seed: int) -> Limits:
    """Limits that a network of some dozen neurons strains."""
    generator = np.random.default_rng(seed)
    return limited(
        neurons=int(generator.integers(3, 20)),
        synaptic_memory=int(generator.integers(60, 600)),
        axons_in=int(generator.integers(60, 200)),
        axons_out=int(generator.integers(30, 200)),
        learning_state=int(generator.integers(60, 200)),
        cores=int(generator.integers(4, 40)),
    )


def present(network: Any, projection: Any) -> np.ndarray:
    """Where a projection stores synapses, of shape [N_source, N_target], from the specification alone."""
    if not isinstance(network, NetworkSpec):
        weights, plastic = projection.effective, projection.rule is not None
        sparse = not plastic and 0 < np.count_nonzero(weights) <= 0.5 * weights.size
        return weights != 0 if sparse else np.ones(weights.shape, dtype=bool)
    original = network.original_of(projection)
    if original.convolution is not None:
        plastic = original.rule is not None
        shared = (
            projection is original
            and not plastic
            and not original.convolution.pooled
            and all(before == after for before, after in original.convolution.padding)
            and np.count_nonzero(original.weights) > 0.5 * original.weights.size
        )
        kernel = np.ones_like(original.weights) if shared or plastic else original.weights
        matrix = original.convolution.matrix(kernel, network.population(original.source).shape) != 0
        return matrix if projection is original else matrix.T
    weights = network.weights_of(projection)
    sparse = original.rule is None and 0 < np.count_nonzero(weights) <= 0.5 * weights.size
    return weights != 0 if sparse else np.ones(weights.shape, dtype=bool)


def placed(network: Any, limits: Limits, n_chips: int | None = None) -> Placement | None:
    try:
        return partition(blocks_of(network, limits), limits, n_chips)
    except UserError:  # does not fit: its own tests below
        return None
