"""Measurements of stock networks that a report shows: on the chip's integers, step by step, nothing learned."""

from __future__ import annotations

import numpy as np

from neuro.base.arrays import Int32, Int64, Reals
from neuro.coding.coder import StockCoder
from neuro.data.sets import Dataset
from neuro.equilibrium.graded_relu import GradedNetwork
from neuro.equilibrium.sigma_delta import energy
from neuro.spec.neurons import SigmaDelta
from neuro.stock.family import StockFamily
from neuro.stock.feed_forward import FeedForwardNetwork
from neuro.stock.network import RELAY, StockNetwork
from sim.backends.protocol import get_backend, one_hot_targets
from sim.backends.stock.emulator import emulate
from sim.backends.stock.session import stock_inputs
from sim.reports.probes.raster import Phases
from sim.reports.probes.sigma_delta import MAX_STATES, Activity, Relaxation

MAX_IMAGES = 256  # enough for smooth curves
AT_ONCE = 32


def watch_stock_activity(network: StockNetwork, dataset: Dataset, count: int = MAX_IMAGES) -> Activity:
    """Count spikes and synaptic operations of the first `count` test images through all slots, with their teacher.

    operations, of shape [2]: in the free slots, and in all slots.
    """
    shown = (*(p.name for p in network.moving), RELAY)
    return _watch(network, dataset, count, slots_of(network), shown, taught=True)


def slots_of(network: StockNetwork) -> Phases:
    """The slots of a sample."""
    return tuple((slot, network.schedule.slot_steps) for slot in network.schedule.slots)


def watch_inference(network: FeedForwardNetwork, dataset: Dataset, count: int = MAX_IMAGES) -> Activity:
    """Count spikes and synaptic operations of the first `count` test images; operations, of shape [2]: twice
    the same.
    """
    return _watch(network, dataset, count, (("inference", network.steps),), tuple(p.name for p in network.moving))


def watch_codes(coder: StockCoder, dataset: Dataset, count: int = MAX_IMAGES) -> Activity:
    """Count messages and synaptic operations of the first `count` test images; operations as in `watch_inference`."""
    phases, shown = (("inference", coder.free_steps),), tuple(p.name for p in coder.moving)
    return _watch(coder, dataset, count, phases, shown, classes=False)


def _watch(
    network: StockFamily, dataset: Dataset, count: int, phases: Phases, shown: tuple[str, ...], *,
    taught: bool = False, classes: bool = True,
) -> Activity:  # fmt: skip
    count, steps = min(count, len(dataset.y_test)), sum(n for _, n in phases)
    free = network.free_slice(steps)
    payloads, labels = network.encoder.encode(dataset.x_test[:count]), dataset.y_test[:count]
    targets = one_hot_targets(network, labels) if taught else None
    totals: dict[str, Reals] = {p.name: np.zeros(steps + 1) for p in network.populations}
    per_image: dict[str, list[Int64]] = {p.name: [] for p in network.moving}
    right, output = np.zeros(network.free_steps), list[Int64]()
    for first in range(0, count, AT_ONCE):
        chunk = slice(first, first + AT_ONCE)
        graph, inputs, biases = stock_inputs(network, payloads[chunk], None if targets is None else targets[chunk])
        spikes = emulate(graph, inputs, biases=biases).spikes
        for name, values in spikes.items():
            totals[name][1:] += np.count_nonzero(values, axis=(0, 2))
        so_far = spikes[network.output][:, free].cumsum(axis=1, dtype=np.int64)
        right += (so_far.argmax(axis=2) == labels[chunk, None]).sum(axis=0)
        output.append(so_far[:, -1])
        for name, counts in per_image.items():
            counts.append(np.count_nonzero(spikes[name][:, free], axis=(1, 2)))
    means: dict[str, Reals] = {name: values / count for name, values in totals.items()}
    column = 1 + network.phases_of(steps)
    with get_backend("chip").open(network) as session:
        record = session.run(payloads[:1], None if targets is None else targets[:1], keep_spikes=True)
    return Activity(
        {name: means[name] for name in shown},
        per_image={name: np.concatenate(counts) for name, counts in per_image.items()},
        operations={
            p.name: np.array([means[p.source][1:][free].sum(), means[p.source].sum()], dtype=np.float64)
            * network.population(p.target).size
            for p in network.projections
            if p.transmits
        },
        first=record,
        phases=phases,
        where={p.name: (index, p.size) for index, p in enumerate(network.populations)},
        sent={name: np.bincount(column, values[1:]).astype(np.float64) for name, values in means.items()},
        accuracy=right / count if classes else None,
        output_counts=_by_class(np.concatenate(output), labels) if classes else None,
    )


def _by_class(counts: Int64, labels: Int32) -> Reals:
    """Mean of counts of shape [n, K] by true class, of shape [K, K]; 0 where a class has no image."""
    classes = np.eye(counts.shape[1])[labels]
    return np.asarray(classes.T @ counts / np.maximum(classes.sum(axis=0), 1)[:, None])


def watch_graded_relaxation(network: GradedNetwork, dataset: Dataset, count: int = MAX_IMAGES) -> Relaxation:
    """Watch the deployed states of the first test images in the free phase, and the energy that they descend."""
    spec, steps = network.spec, network.free_steps
    count = min(count, len(dataset.y_test), max(MAX_STATES // (steps * sum(p.size for p in spec.populations)), 1))
    payloads, labels = network.encoder.encode(dataset.x_test[:count]), dataset.y_test[:count]
    graph, inputs, biases = stock_inputs(network, payloads, None)
    spikes = emulate(graph, inputs, biases=biases).spikes
    states = {
        p.name: spikes[p.name] * (p.neuron.one / network.design.one if isinstance(p.neuron, SigmaDelta) else 1)
        for p in spec.populations
    }
    rest = {name: np.zeros_like(values[:, 0]) for name, values in states.items()}
    return Relaxation(
        energy=np.stack([energy(spec, {k: v[:, t] for k, v in states.items()}) for t in range(steps)], axis=1),
        energy_at_rest=energy(spec, rest),
        accuracy=(spikes[network.output].argmax(axis=2) == labels[:, None]).mean(axis=0),
    )
