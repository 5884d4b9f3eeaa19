"""Measurements of stock networks that a report shows: on the chip's integers, step by step, nothing learned."""

from __future__ import annotations

import numpy as np

from neuro.data.sets import Dataset
from neuro.stock.network import RELAY, StockNetwork
from sim.backends.protocol import get_backend, one_hot_targets
from sim.backends.stock.emulator import emulate
from sim.backends.stock.session import stock_inputs
from sim.reports.probes.sigma_delta import Activity

MAX_IMAGES = 256  # enough for smooth curves
AT_ONCE = 32


def watch_stock_activity(network: StockNetwork, dataset: Dataset) -> Activity:
    """Count spikes and synaptic operations of the first test images through all slots, with their teacher.

    operations, of shape [2]: in the free slots, and in all slots.
    """
    count = min(MAX_IMAGES, len(dataset.y_test))
    payloads = network.encoder.encode(dataset.x_test[:count])
    targets = one_hot_targets(network, dataset.y_test[:count])
    free, steps = network.schedule.free_steps, network.schedule.steps
    totals = {p.name: np.zeros(steps + 1) for p in network.populations}
    per_image: dict[str, list[np.ndarray]] = {p.name: [] for p in network.moving}
    right = np.zeros(free)
    for first in range(0, count, AT_ONCE):
        part = slice(first, first + AT_ONCE)
        spikes = emulate(*stock_inputs(network, payloads[part], targets[part])).spikes
        for name, values in spikes.items():
            totals[name][1:] += values.sum(axis=(0, 2), dtype=np.int64)
        so_far = spikes[network.output][:, :free].cumsum(axis=1).argmax(axis=2)
        right += (so_far == dataset.y_test[:count][part, None]).sum(axis=0)
        for name, found in per_image.items():
            found.append(spikes[name][:, :free].sum(axis=(1, 2), dtype=np.int64))
    means = {name: values / count for name, values in totals.items()}
    with get_backend("chip").open(network) as session:
        record = session.run(payloads[:1], targets[:1], keep_spikes=True)
    return Activity(
        {name: means[name] for name in (*per_image, RELAY)},
        per_image={name: np.concatenate(found) for name, found in per_image.items()},
        operations={
            p.name: np.array([means[p.source][: free + 1].sum(), means[p.source].sum()])
            * network.population(p.target).size
            for p in network.projections
            if p.transmits
        },
        first=record,
        phases=tuple((slot, network.schedule.slot_steps) for slot in network.schedule.slots),
        where={p.name: (index, p.size) for index, p in enumerate(network.populations)},
        sent={name: np.bincount(1 + network.phases(steps), values[1:]) for name, values in means.items()},
        accuracy=right / count,
    )
