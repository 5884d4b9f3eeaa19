"""From the spikes of a stock network to a `Record`: the same summary for the emulator and for Lava."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neuro.base.arrays import Integers
from neuro.base.errors import UserError
from neuro.stock.family import StockFamily
from sim.backends.presentation import Presentation
from sim.backends.record import Record, SpikeTable
from sim.backends.stock.emulator import StockRun


def check_images(network: StockFamily, payloads: Integers, targets: Integers | None) -> None:
    """Raise UserError unless payloads of shape [B, N] and targets of shape [B, K] are what the network takes."""
    limit = network.encoder.payload_limit
    if payloads.ndim != 2 or payloads.shape[1] != network.n_inputs:
        raise UserError(f"payloads of shape {payloads.shape}: the input population needs [B, {network.n_inputs}]")
    lowest = -limit if network.encoder.signed else 0
    if payloads.size and not lowest <= int(payloads.min()) <= int(payloads.max()) <= limit:
        raise UserError(f"payloads outside {lowest}..{limit}: use the encoder of the network")
    if targets is not None and targets.shape != (len(payloads), network.n_classes):
        raise UserError(f"targets of shape {targets.shape}: {len(payloads)} images need [B, {network.n_classes}]")


def make_record(network: StockFamily, backend: str, shown: Presentation, run: StockRun) -> Record:
    """Summarise one batch. States are u and v at the end, of shape [B, 2, N]; predictions count output spikes."""
    names = [name for name in run.spikes if name in {p.name for p in network.populations}]
    steps = run.spikes[network.output].shape[1]
    phases, counts, rows = network.phases_of(steps), {}, []
    index = {population.name: i for i, population in enumerate(network.populations)}
    for name in names:
        spikes = run.spikes[name]
        per_step = np.count_nonzero(spikes, axis=2)
        per_phase = [per_step[:, phases == k].sum(axis=1) for k in range(int(phases.max()) + 1)]
        counts[name] = np.stack([np.zeros(len(spikes), dtype=np.int64), *per_phase], axis=1).astype(np.int64)
        if shown.keep_spikes:
            image, step, neuron = np.nonzero(spikes)
            payload = spikes[image, step, neuron]
            rows.append(np.stack([image, step + 1, np.full_like(image, index[name]), neuron, payload], axis=1))
    states = {name: np.stack([run.u[name], run.v[name]], axis=1).astype(np.int32) for name in names}
    output = network.scores(run.spikes)
    return Record(
        backend=backend,
        seed=shown.seed,
        predictions=output.argmax(axis=1).astype(np.int32),
        output_states=output,
        spike_counts=counts,
        settled=network.settled(run.spikes),
        states=states if shown.keep_states else None,
        spikes=SpikeTable.from_rows(np.concatenate(rows)) if shown.keep_spikes else None,
    )


def join_records(records: Sequence[Record]) -> Record:
    """Join `records` into one of all their images, in their order."""
    first, offset, tables = records[0], 0, []
    for record in records:
        if record.spikes is not None:
            rows = record.spikes.rows()
            rows[:, 0] += offset
            tables.append(rows)
        offset += record.n_images
    states = first.states
    if states is not None:
        states = {name: np.concatenate([(r.states or {})[name] for r in records]) for name in states}
    last = [record.last_spike for record in records if record.last_spike is not None]
    return Record(
        backend=first.backend,
        seed=first.seed,
        predictions=np.concatenate([record.predictions for record in records]),
        output_states=np.concatenate([record.output_states for record in records]),
        spike_counts={n: np.concatenate([r.spike_counts[n] for r in records]) for n in first.spike_counts},
        settled=np.concatenate([record.settled for record in records]),
        last_spike=np.concatenate(last) if last else None,
        states=states,
        spikes=SpikeTable.from_rows(np.concatenate(tables)) if tables else None,
    )
