"""Random networks whose input generates spikes, for the contract of every backend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from neuro.spec.neurons import Generator
from neuro.spec.schedule import Phase
from neuro.spec.sigma_delta import NetworkSpec
from sim.contract.sigma_delta import any_spec, random_images

LONGEST = 12  # window


def generator_spec(seed: int, *, learns: bool = True) -> NetworkSpec:
    """An `any_spec` whose input generates spikes for a few steps; same seed, same network."""
    spec, generator = any_spec(seed, learns=learns), np.random.default_rng([seed, 0x6E4])
    window = min(int(generator.integers(1, LONGEST, endpoint=True)), spec.entry.payload_limit)
    first, *rest = spec.schedule.phases
    phases = (Phase(first.name, first.steps + window), *rest)
    drawn = Generator(spec.entry.activation_bits, window)
    populations = tuple(replace(p, neuron=drawn) if p.name == spec.input else p for p in spec.populations)
    return replace(spec, populations=populations, schedule=replace(spec.schedule, phases=phases))


def chances_and_targets(spec: NetworkSpec, seed: int, count: int) -> tuple[Any, Any]:
    """Random chances of shape [count, N], none and nearly certain ones among them, and targets of shape [count, K]."""
    generator = np.random.default_rng([seed, 0x6E5])
    limit, size = spec.entry.input_limit, spec.population(spec.input).size
    chances = generator.integers(0, limit, (count, size), endpoint=True) * (generator.random((count, size)) < 0.8)
    chances[generator.random((count, size)) < 0.1] = limit
    return chances.astype(np.int16), random_images(spec, seed, count)[1]
