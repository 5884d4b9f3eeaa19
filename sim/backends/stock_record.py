"""From the spikes of a stock network to a `Record`: the same summary for the chip and for Lava."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from neuro.errors import UserError
from neuro.stock_network import StockNetwork
from neuro.stock_rules import BLANK, FREE, NUDGED
from sim.backends.base import IntArray, Record, SpikeTable
from sim.backends.chip import ChipRecord

STEADY_PARTS = 4  # the free phase is steady if its last two quarters hold as many spikes of every neuron, +-1


def check_images(network: StockNetwork, payloads: IntArray, targets: IntArray | None) -> None:
    """Raise UserError unless payloads of shape [B, N] and targets of shape [B, K] are what the network takes."""
    limit = network.encoder.payload_limit
    if payloads.ndim != 2 or payloads.shape[1] != network.n_inputs:
        raise UserError(f"payloads of shape {payloads.shape}: the input population needs [B, {network.n_inputs}]")
    if payloads.size and not 0 <= int(payloads.min()) <= int(payloads.max()) <= limit:
        raise UserError(f"payloads outside 0..{limit}: use the encoder of the network")
    if targets is not None and targets.shape != (len(payloads), network.n_classes):
        raise UserError(f"targets of shape {targets.shape}: {len(payloads)} images need [B, {network.n_classes}]")


def phase_of_step(network: StockNetwork, steps: int) -> npt.NDArray[np.int64]:
    """Return, of shape [steps], the phase of each step of a sample: 0 free, 1 nudged, 2 blank."""
    order = {FREE: 0, NUDGED: 1, BLANK: 2}
    phases = np.repeat([order[slot] for slot in network.schedule.slots], network.schedule.slot_steps)
    return phases[:steps].astype(np.int64)


def output_counts(network: StockNetwork, spikes: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return, of shape [B, K], the output spikes of shape [B, T, K] counted over the free phase."""
    return spikes[:, : network.schedule.free_steps].sum(axis=1, dtype=np.int32)


def is_steady(spikes: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return, of shape [B], whether spikes of shape [B, T, N] in the free phase have come to a steady rate."""
    part = max(spikes.shape[1] // STEADY_PARTS, 1)
    last, before = (spikes[:, -part:], spikes[:, -2 * part : -part])
    change = np.abs(last.sum(axis=1, dtype=np.int64) - before.sum(axis=1, dtype=np.int64))
    return np.asarray((change <= 1).all(axis=1))


def make_record(
    network: StockNetwork, backend: str, seed: int, run: ChipRecord, keep_states: bool, keep_spikes: bool
) -> Record:
    """Summarise one batch. States are u and v at the end, of shape [B, 2, N]; predictions count output spikes."""
    names = [name for name in run.spikes if name in {p.name for p in network.populations}]
    steps = run.spikes[network.output].shape[1]
    phases, counts, rows = phase_of_step(network, steps), {}, []
    index = {population.name: i for i, population in enumerate(network.populations)}
    for name in names:
        spikes = run.spikes[name]
        per_step = np.count_nonzero(spikes, axis=2)
        per_phase = [per_step[:, phases == k].sum(axis=1) for k in range(int(phases.max()) + 1)]
        counts[name] = np.stack([np.zeros(len(spikes), dtype=np.int64), *per_phase], axis=1).astype(np.int64)
        if keep_spikes:
            image, step, neuron = np.nonzero(spikes)
            payload = spikes[image, step, neuron]
            rows.append(np.stack([image, step + 1, np.full_like(image, index[name]), neuron, payload], axis=1))
    free = network.schedule.free_steps
    states = {name: np.stack([run.u[name], run.v[name]], axis=1).astype(np.int32) for name in names}
    output = output_counts(network, run.spikes[network.output])
    steady = [is_steady(run.spikes[population.name][:, :free]) for population in network.moving]
    return Record(
        backend=backend,
        seed=seed,
        predictions=output.argmax(axis=1).astype(np.int32),
        output_states=output,
        spike_counts=counts,
        settled=np.logical_and.reduce(steady),
        states=states if keep_states else None,
        spikes=SpikeTable.from_rows(np.concatenate(rows)) if keep_spikes else None,
    )


def join_records(records: Sequence[Record]) -> Record:
    """Return one record of all images of `records`, in their order."""
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
    return Record(
        backend=first.backend,
        seed=first.seed,
        predictions=np.concatenate([record.predictions for record in records]),
        output_states=np.concatenate([record.output_states for record in records]),
        spike_counts={n: np.concatenate([r.spike_counts[n] for r in records]) for n in first.spike_counts},
        settled=np.concatenate([record.settled for record in records]),
        states=states,
        spikes=SpikeTable.from_rows(np.concatenate(tables)) if tables else None,
    )
