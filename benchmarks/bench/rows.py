"""A row of the bench table: one contestant, one kind of work, one batch size; every cell says how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.bench.effort import Effort
from benchmarks.bench.meters import Reading, gross_energy, net_energy
from benchmarks.bench.timing import Window
from neuro.base.quantities import Cell, Measured, Modelled, NotMeasurable

INFERENCE, TRAINING = "inference", "training"
CELLS = ("accuracy", "latency", "p99", "throughput", "energy", "energy_delay")
COUNTS = ("spikes", "operations")
COLUMNS = {INFERENCE: (CELLS[0], COUNTS[0], *CELLS[1:]), TRAINING: (COUNTS[1], *CELLS[1:])}  # of a table


@dataclass(frozen=True)
class Row:
    """One line. batch: images a call; note: what the contestant is; more: further figures, for the file only.

    latency: of a call, s (median; modelled: mean); p99; throughput: images/s; energy: of an image above idle, J;
    gross: the same, idle included; energy_delay: energy of an image times the time it waits for its call, J s.
    effort: its spikes and operations.
    """

    name: str
    device: str
    work: str
    batch: int
    note: str
    accuracy: Cell
    latency: Cell
    p99: Cell
    throughput: Cell
    energy: Cell
    gross: Cell
    energy_delay: Cell
    effort: Effort | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spikes(self) -> Cell:
        """Spikes of an inference."""
        return self.effort.spikes if self.effort else UNCOUNTED

    @property
    def operations(self) -> Cell:
        """Operations of the row's kind of work."""
        if self.effort is None:
            return UNCOUNTED
        return self.effort.learning if self.work == TRAINING else self.effort.inference

    @property
    def kind(self) -> str:
        """How its latency came about, which is how the row did."""
        return self.latency.kind

    def line(self) -> tuple[str, str]:
        """Who, on what, and what an image takes, each number with its kind."""
        done = "learned" if self.work == TRAINING else "classified"
        return f"{self.name}, {self.device}", f"one image {done}: {self.latency}; {self.energy}"

    def to_json(self) -> dict[str, Any]:
        """All fields, as an object that `json` can write."""
        counts = COUNTS if self.effort else ()
        cells = {name: getattr(self, name).to_json() for name in (*CELLS, "gross", *counts)}
        return {"name": self.name, "device": self.device, "work": self.work, "batch": self.batch, "note": self.note,
                **cells, **self.more}  # fmt: skip

    def summary(self) -> dict[str, Any]:
        """The short form that `settle bench --json` prints: a band as [low, high], None for no number."""
        short = {"latency_s": self.latency, "p99_s": self.p99, "images_per_s": self.throughput, "energy_j": self.energy,
                 "energy_delay_js": self.energy_delay, "accuracy": self.accuracy, "spikes": self.spikes,
                 "operations": self.operations}  # fmt: skip
        reasons = {name: cell.reason for name, cell in short.items() if isinstance(cell, NotMeasurable)}
        return {"name": self.name, "device": self.device, "work": self.work, "batch": self.batch, "kind": self.kind,
                **{name: number(cell) for name, cell in short.items()}, "reasons": reasons}  # fmt: skip


def number(cell: Cell) -> float | list[float] | None:
    """A cell without its kind: a value, a band as [low, high], or None."""
    if isinstance(cell, NotMeasurable):
        return None
    return [cell.low, cell.high] if isinstance(cell, Modelled) else cell.value


def measured_row(
    who: tuple[str, str, str], work: str, accuracy: Cell, window: Window, idle: Reading | NotMeasurable,
    more: Mapping[str, Any] | None = None, effort: Effort | None = None,
) -> Row:  # fmt: skip
    """The row of a window; who: name, device, note."""
    latency, energy = window.median(), net_energy(window.energy, idle, window.n_images)
    name, device, note = who
    counted = {"counter": window.energy.to_json(), "idle": idle.to_json()}
    return Row(
        name, device, work, window.batch, note, accuracy, latency, window.p99(), window.throughput(), energy,
        gross_energy(window.energy, window.n_images), energy_delay(energy, latency), effort,
        {**counted, **(more or {})},
    )  # fmt: skip


def energy_delay(energy: Cell, latency: Cell) -> Cell:
    """Energy times latency, J s: of two measured numbers, or two bands; no product mixes kinds."""
    if isinstance(energy, NotMeasurable):
        return energy
    if isinstance(latency, NotMeasurable):
        return latency
    if isinstance(energy, Modelled) and isinstance(latency, Modelled):
        return Modelled(energy.low * latency.low, energy.high * latency.high, "J s", energy.sources)
    if isinstance(energy, Measured) and isinstance(latency, Measured):
        return Measured(energy.value * latency.value, "J s", energy.meter, energy.n)
    return NotMeasurable(f"energy is {energy.kind}, latency {latency.kind}: their product would be neither")


def empty_row(who: tuple[str, str, str], work: str, reason: str, effort: Effort | None = None) -> Row:
    """A row in which nothing could be measured, and why; counts need no meter."""
    none = NotMeasurable(reason)
    name, device, note = who
    return Row(name, device, work, 1, note, none, none, none, none, none, none, none, effort)


UNCOUNTED = NotMeasurable("not counted")
