"""Networks to export, and what NIR says of them computed another way."""

from __future__ import annotations

import numpy as np

from neuro.front_ends.pixels import PixelEncoder
from neuro.stock.feed_forward import FeedForwardNetwork, feed_forward_graph
from neuro.stock.processes import DECAY_UNITY, LIF, SpikeInput, StockPopulation, StockProjection, StockSpec


def even(generator: np.random.Generator, n_pre: int, n_post: int, std: float = 25.0, mean: float = 20.0) -> np.ndarray:
    """Even weights of 8 bits."""
    return (np.rint(generator.normal(mean, std, (n_pre, n_post)) / 2) * 2).clip(-256, 254).astype(np.int16)


def graph_of(sizes: dict[str, int], edges: list[tuple[str, str]], neuron: LIF, seed: int = 0) -> StockSpec:
    """Random weights on the given edges; the first population is the input."""
    generator, names = np.random.default_rng(seed), list(sizes)
    populations = tuple(
        StockPopulation(name, (sizes[name],), SpikeInput() if name == names[0] else neuron) for name in names
    )
    projections = tuple(
        StockProjection(f"{a}->{b}", a, b, even(generator, sizes[a], sizes[b]), exponent=k % 2)
        for k, (a, b) in enumerate(edges)
    )
    return StockSpec(populations, projections)


def feed_forward(seed: int = 0, neuron: LIF | None = None, steps: int = 12) -> FeedForwardNetwork:
    """A random classifier of images of 2 x 3 pixels."""
    generator = np.random.default_rng(seed)
    graph = feed_forward_graph([even(generator, 7, 5), even(generator, 5, 3)], neuron or LIF(1023, 123, 80))
    return FeedForwardNetwork(graph, steps, PixelEncoder(), "slayer", 2, (2, 3))


def without_rounding(spec: StockSpec, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Spikes [B, T, N] by population: the equations of `neuro.stock.processes` in 64-bit floats, a step of delay
    each."""
    sent = {p.name: np.zeros((*inputs.shape[:2], p.size)) for p in spec.populations}
    sent[spec.populations[0].name][:] = inputs
    u, v = ({p.name: np.zeros((len(inputs), p.size)) for p in spec.populations} for _ in range(2))
    for step in range(inputs.shape[1]):
        for population in spec.populations[1:]:
            neuron, name = population.neuron, population.name
            arriving = sum(
                sent[p.source][:, step - 1] @ (p.effective * 2.0**p.exponent)
                for p in spec.projections
                if p.target == name and step > 0
            )
            u[name] = u[name] * (1 - (neuron.current_decay + 1) / DECAY_UNITY) + arriving
            v[name] = v[name] * (1 - neuron.voltage_decay / DECAY_UNITY) + u[name]
            sent[name][:, step] = v[name] > neuron.threshold
            v[name][sent[name][:, step] > 0] = 0.0
    return sent
