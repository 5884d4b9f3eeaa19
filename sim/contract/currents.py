"""Random currents of hidden units, for the checks of `sim.contract.sigma_delta`."""

from __future__ import annotations

from typing import Any

import numpy as np

from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.checks import largest_current


def random_currents(spec: NetworkSpec, seed: int, count: int) -> dict[str, Any]:
    """Random currents of shape [count, N] onto some of the populations that take them, anywhere in their range."""
    generator = np.random.default_rng([seed, 0xC322])
    chosen = [p for p in spec.moving if p.name != spec.output and generator.random() < 0.6]
    limits = {p.name: largest_current(spec, p.name) for p in chosen}
    return {p.name: generator.integers(-limits[p.name], limits[p.name], (count, p.size), endpoint=True).astype(np.int32)
            for p in chosen}  # fmt: skip
