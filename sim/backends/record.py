"""What backends hand back: what happened in a run, what learning did; and how two records are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neuro.base.arrays import Bools, Int32, Int64, Integers
from neuro.spec.network import Network
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.presentation import Presentation


@dataclass(frozen=True)
class SpikeTable:
    """Every spike of a run, one row each, ordered by image, step, population and neuron.

    image, step, population (index in the spec), neuron, payload: int32 arrays of shape [S].
    """

    image: Int32
    step: Int32
    population: Int32
    neuron: Int32
    payload: Int32

    def __len__(self) -> int:
        return len(self.image)

    def rows(self) -> Int32:
        """The table as an array of shape [S, 5]."""
        return np.stack([self.image, self.step, self.population, self.neuron, self.payload], axis=1)

    @staticmethod
    def from_rows(rows: Integers) -> SpikeTable:
        """Build a table from rows of shape [S, 5] in any order."""
        rows = rows.astype(np.int32).reshape(-1, 5)
        order = np.lexsort((rows[:, 3], rows[:, 2], rows[:, 1], rows[:, 0]))
        return SpikeTable(*np.ascontiguousarray(rows[order].T))


@dataclass(frozen=True, eq=False)
class Record:
    """What happened in a run of B images.

    predictions of shape [B]: argmax of the output state after the free phase, lowest index on a tie.
    output_states of shape [B, K]: that state, in state units.
    spike_counts: by population, of shape [B, 1 + phases]: spikes sent at the presentation, then in each phase.
    settled of shape [B]: whether no neuron sent a spike in the last step of the free phase.
    last_spike of shape [B]: the last step of the free phase at which a neuron sent; None where steps are no relaxation.
    states: by population, of shape [B, phases, N], u (s_hat for sources) at the end of each phase; None unless asked.
    spikes: every spike; None unless asked for.
    """

    backend: str
    seed: int
    predictions: Int32
    output_states: Int32
    spike_counts: dict[str, Int64]
    settled: Bools
    last_spike: Int32 | None = None
    states: dict[str, Int32] | None = None
    spikes: SpikeTable | None = None

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.predictions)

    def spikes_per_inference(self, spec: Network) -> float:
        """Mean spikes of all non-source populations in the free phase, per image."""
        return float(sum(self.spike_counts[p.name][:, 1].sum() for p in spec.moving)) / max(self.n_images, 1)

    def synaptic_operations(self, spec: Network) -> dict[str, Int64]:
        """The synapses that spikes reached (one add each), by projection that took part, of shape [B, 1 + phases].

        Raises: ValueError if neurons of a source differ in their number of synapses, as at the border of a kernel, and
        spikes were not kept: counts do not say which neuron sent them.
        """
        return {
            p.name: self._operations(spec, p.source, spec.fan_out(p))
            for p in spec.projections
            if p.source in self.spike_counts and p.target in self.spike_counts
        }

    def _operations(self, spec: Network, source: str, reached: Int64) -> Int64:
        """reached: synapses of each neuron of `source`, of shape [N]."""
        counts = self.spike_counts[source]
        if (reached == reached[0]).all():
            return counts * np.int64(reached[0])
        if self.spikes is None:
            raise ValueError(f"synaptic operations: neurons of {source} differ in their synapses; run with keep_spikes")
        chosen = self.spikes.population == [p.name for p in spec.populations].index(source)
        column = spec.phases()[self.spikes.step[chosen] - spec.first_step] + 1
        cell = self.spikes.image[chosen] * counts.shape[1] + column
        total = np.bincount(cell, reached[self.spikes.neuron[chosen]], minlength=counts.size)  # exact below 2**53
        operations: Int64 = total.astype(np.int64).reshape(counts.shape)
        return operations


@dataclass(frozen=True, eq=False)
class Settling:
    """How B images that were learned settled.

    settled, last_spike of shape [B] and free of shape [B, K]: as in `Record`, free being its output_states.
    nudged of shape [B, 2, K]: the output at the end of each nudged phase, in state units.
    """

    settled: Bools
    last_spike: Int32
    free: Int32
    nudged: Int32


def settling_of(records: Sequence[Record], nudged: Integers) -> Settling:
    """How the images of `records` settled, and were nudged to, [B, 2, K]."""
    return Settling(
        np.concatenate([record.settled for record in records]),
        np.concatenate([record.last_spike for record in records if record.last_spike is not None]),
        np.concatenate([record.output_states for record in records]),
        nudged.astype(np.int32),
    )


@dataclass(frozen=True)
class LearningOutcome:
    """What a stretch of training did: predictions of shape [B] before each update, and spikes sent in total.

    settling: of networks that settle, None of others.
    """

    predictions: Int32
    spike_counts: dict[str, Int64]
    settling: Settling | None = None


@dataclass(frozen=True)
class Differences:
    """How many entries differ between two records of the same run, and how many were compared."""

    spikes: int
    states: int
    predictions: int
    n_images: int
    n_spikes: int

    @property
    def total(self) -> int:
        """Sum of all differences; 0 means equal."""
        return self.spikes + self.states + self.predictions


def compare(first: Record, second: Record) -> Differences:
    """Count what differs: spikes (rows that one record has more often), states, predictions. Both must hold all."""
    if first.spikes is None or second.spikes is None or first.states is None or second.states is None:
        raise ValueError("compare: both records need spikes and states; ask for them in run()")
    rows = np.concatenate([first.spikes.rows(), second.spikes.rows()])
    _, which = np.unique(rows, axis=0, return_inverse=True)
    surplus = np.bincount(which.ravel(), np.repeat([1, -1], [len(first.spikes), len(second.spikes)]))
    states = sum(int(np.count_nonzero(first.states[name] != second.states[name])) for name in first.states)
    return Differences(
        spikes=int(np.abs(surplus).sum()),
        states=states,
        predictions=int(np.count_nonzero(first.predictions != second.predictions)),
        n_images=first.n_images,
        n_spikes=len(first.spikes),
    )


def record_from_history(
    spec: NetworkSpec, backend: str, shown: Presentation, history: Mapping[str, Mapping[str, Int64]]
) -> Record:
    """Summarise spikes and states of shape [B, 1 + steps, N] by population into a Record."""
    n_steps = history[spec.output]["states"].shape[1]
    ends = [end for end in spec.schedule.ends if end < n_steps]
    free_end = ends[0]
    output = history[spec.output]["states"][:, free_end]
    counts, rows = {}, []
    settled = np.ones(len(output), dtype=np.bool_)
    busy = np.zeros((len(output), free_end + 1), dtype=np.bool_)
    for index, population in enumerate(spec.populations):
        spikes = history[population.name]["spikes"]
        per_step = np.count_nonzero(spikes, axis=2)
        starts = [0, 1, *[end + 1 for end in ends[:-1]]]
        counts[population.name] = np.add.reduceat(per_step, starts, axis=1).astype(np.int64)
        settled &= per_step[:, free_end] == 0
        busy |= per_step[:, : free_end + 1] > 0
        image, step, neuron = np.nonzero(spikes)
        payload = spikes[image, step, neuron]
        rows.append(np.stack([image, step, np.full_like(image, index), neuron, payload], axis=1))
    states = {name: part["states"][:, ends].astype(np.int32) for name, part in history.items()}
    return Record(
        backend=backend,
        seed=shown.seed,
        predictions=np.argmax(output, axis=1).astype(np.int32),
        output_states=output.astype(np.int32),
        spike_counts=counts,
        settled=settled,
        last_spike=(free_end - np.argmax(busy[:, ::-1], axis=1)).astype(np.int32) * busy.any(axis=1),
        states=states if shown.keep_states else None,
        spikes=SpikeTable.from_rows(np.concatenate(rows)) if shown.keep_spikes else None,
    )
