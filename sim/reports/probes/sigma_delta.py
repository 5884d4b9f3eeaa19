"""Measurements that a report shows: the network watched step by step. Everything here is measured, nothing modelled."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from neuro.base.arrays import Int64, Reals
from neuro.base.metrics import Accuracy, accuracy, confusion_matrix
from neuro.data.sets import Dataset
from neuro.equilibrium.sigma_delta import energy
from neuro.spec.network import Network
from neuro.spec.neurons import SigmaDelta
from neuro.spec.schedule import PARALLEL, Phase
from neuro.spec.sigma_delta import NetworkSpec
from neuro.spec.stack import unstack
from sim.backends.protocol import get_backend, one_hot_targets
from sim.backends.record import Record
from sim.reports.probes.raster import Phases, Raster

MAX_IMAGES = 1000  # enough for smooth curves
MAX_SPIKES, MAX_STATES = 4_000_000, 50_000_000  # kept at a time
PROBE = 16  # images that tell how many fit


@dataclass(frozen=True, eq=False)
class Relaxation:
    """The free phase, step by step, over n images.

    energy of shape [n, T]: Hopfield energy of the states, dimensionless; energy_at_rest of shape [n]: all states zero.
    accuracy of shape [T]: share predicted right if the output were read at that step.
    """

    energy: Reals
    energy_at_rest: Reals
    accuracy: Reals


@dataclass(frozen=True, eq=False)
class Activity:
    """Spikes and synaptic operations over n images through all phases.

    per_step: by population, of shape [1 + steps], mean spikes per image.
    per_image: by population, of shape [n], spikes in the free phase.
    operations: by projection, of shape [2], mean synaptic operations per image at the presentation, in the free phase.
    first: the record of the first image, with spikes.
    phases: name and steps of each, in turn.   where: by population, its index in the spike table and its size.
    sent: by population, mean spikes per image at the presentation and in each kind of phase, and accuracy, of shape
    [T], if the output were read after that step of the free phase; stock networks only.
    output_counts: of shape [K, K], mean spikes of each output neuron by true class; spiking stock networks only.
    """

    per_step: dict[str, Reals]
    per_image: dict[str, Int64]
    operations: dict[str, Reals]
    first: Record
    phases: Phases
    where: dict[str, tuple[int, int]]
    sent: dict[str, Reals] = field(default_factory=dict)
    accuracy: Reals | None = None
    output_counts: Reals | None = None

    @property
    def n_images(self) -> int:
        """Images that were watched."""
        return len(next(iter(self.per_image.values())))

    @property
    def accuracy_by_step(self) -> Reals:
        """Accuracy if the output were read after each step. Raises: ValueError if it was not measured."""
        if self.accuracy is None:
            raise ValueError("activity: accuracy by step is measured of stock networks only")
        return self.accuracy

    @property
    def raster(self) -> Raster:
        """The spikes of the first image."""
        assert self.first.spikes is not None  # asked for
        shown = {name: self.where[name] for name in self.per_step}
        return Raster(self.first.spikes, self.phases, shown, int(self.first.predictions[0]))


@dataclass(frozen=True, eq=False)
class TestResult:
    """Accuracy on the test set and the confusion matrix of shape [K, K] (row: true class)."""

    accuracy: Accuracy
    confusion: Int64
    settled: float
    n_images: int
    spikes_per_inference: float


def measure_test(spec: Network, dataset: Dataset) -> TestResult:
    """Classify the whole test set. settled: share of images with no spike in the last step of the free phase.

    (Stock networks: with steady rates; graded ones: with states that no longer move by more than a unit.)
    """
    with get_backend(spec.native_backend).open(spec) as session:
        record = session.run(spec.encoder.encode(dataset.x_test))
    return TestResult(
        accuracy(record.predictions, dataset.y_test),
        confusion_matrix(record.predictions, dataset.y_test, spec.n_classes),
        float(record.settled.mean()),
        record.n_images,
        record.spikes_per_inference(spec),
    )


def watch_relaxation(spec: NetworkSpec, dataset: Dataset, count: int = MAX_IMAGES) -> Relaxation:
    """Watch the free phase of the first `count` test images: a phase of n steps is run as n phases of one step.

    The energy is that of the network behind its front end, if it has one, given the codes as they are at that step.
    """
    steps = _steps_watched(spec, dataset)
    count = min(count, len(dataset.y_test), max(MAX_STATES // (steps * sum(p.size for p in spec.populations)), 1))
    labels = dataset.y_test[:count]
    phases = tuple(Phase(f"step {step + 1}", 1) for step in range(steps))
    slow = replace(spec, schedule=replace(spec.schedule, phases=phases))
    with get_backend("events").open(slow) as session:
        payloads = spec.encoder.encode(dataset.x_test[:count])
        record = session.run(payloads, one_hot_targets(spec, labels), keep_states=True)
    _, back = unstack(spec)
    states = {p.name: (record.states or {})[p.name] for p in back.populations}
    output, code = states[spec.output], spec.population(back.input).neuron
    if isinstance(code, SigmaDelta):
        states[back.input] = code.activation(states[back.input])
    rest = {name: np.zeros_like(part[:, 0]) for name, part in states.items()}
    return Relaxation(
        energy=np.stack([energy(back, {k: v[:, t] for k, v in states.items()}) for t in range(steps)], axis=1),
        energy_at_rest=energy(back, rest),
        accuracy=(output.argmax(axis=2) == labels[:, None]).mean(axis=0),
    )


def _steps_watched(spec: NetworkSpec, dataset: Dataset) -> int:
    """The steps of the free phase, without those in which the first test images are silent already."""
    steps = spec.schedule.phases[0].steps
    if spec.schedule.order == PARALLEL:
        return steps
    with get_backend("events").open(spec) as session:
        last = session.run(spec.encoder.encode(dataset.x_test[:MAX_IMAGES])).last_spike
    return steps if last is None else min(steps, int(last.max(initial=0)) + 2)


def watch_activity(spec: NetworkSpec, dataset: Dataset, seed: int, classes: bool = True) -> Activity:
    """Count spikes and synaptic operations of the first test images through all phases.

    classes: whether the output neurons stand for the classes of the data, so that they have targets.
    """
    payloads = spec.encoder.encode(dataset.x_test[:MAX_IMAGES])
    with get_backend("events").open(spec) as session:
        sent = sum(counts.sum() for counts in session.run(payloads[:PROBE]).spike_counts.values())
        count = min(len(payloads), max(int(MAX_SPIKES * min(PROBE, len(payloads)) // max(sent, 1)), PROBE))
        targets = one_hot_targets(spec, dataset.y_test[:count]) if classes else None
        record = session.run(payloads[:count], targets, seed=seed, keep_spikes=True)
    table = record.spikes
    assert table is not None  # asked for above
    first = replace(record, spikes=type(table).from_rows(table.rows()[table.image == 0]))
    per_step = {
        p.name: np.bincount(
            table.step[table.population == spec.population_index[p.name]], minlength=spec.schedule.last_step + 1
        )
        / count
        for p in spec.moving
    }
    return Activity(
        per_step,
        per_image={p.name: record.spike_counts[p.name][:, 1] for p in spec.moving},
        operations={name: n[:, :2].mean(axis=0) for name, n in record.synaptic_operations(spec).items()},
        first=first,
        phases=phases_of(spec),
        where={p.name: (spec.population_index[p.name], p.size) for p in spec.populations},
    )


def phases_of(spec: NetworkSpec) -> Phases:
    """Name and steps of each phase."""
    return tuple((phase.name, phase.steps) for phase in spec.schedule.phases)
