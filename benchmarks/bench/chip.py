"""The row of Loihi 2: measured on a board, where one can be reached; else modelled, as a band from public constants."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.bench.config import LOIHI
from benchmarks.bench.job import Job
from benchmarks.bench.rows import INFERENCE, TRAINING, Row, empty_row, energy_delay
from hardware.board.backend import DOOR, BoardBackend
from hardware.board.detect import detect
from hardware.compile.deployment import Deployment
from hardware.energy.estimate import Estimate
from hardware.energy.profile import Profile
from neuro.base.quantities import Cell, Measured, Modelled, NotMeasurable


@dataclass(frozen=True, eq=False)
class OnChip:
    """Rows of the chip, and the profile that the page draws; None if the network does not fit any chip."""

    rows: tuple[Row, ...]
    profile: Profile | None


def on_chip(job: Job, accuracy: Cell, door: str = DOOR) -> OnChip:
    """The cost of one image, inferred and learned, on the chip.

    accuracy: of the same integers, measured elsewhere; door: to the board (`hardware.board.door`).
    """
    name, profile = name_of(job), job.profile
    if isinstance(profile, NotMeasurable):
        return OnChip((empty_row((name, LOIHI, ""), INFERENCE, profile.reason),), None)
    note = _note(profile.deployment)
    rows = [_measured(job, note, accuracy, door) or modelled_row(profile.inference, INFERENCE, note, accuracy)]
    if profile.learning is not None:
        rows.append(modelled_row(profile.learning, TRAINING, note, NotMeasurable(TAUGHT)))
    else:
        rows.append(empty_row((name, LOIHI, note), TRAINING, "this network does not learn on the chip"))
    named = [replace(row, name=name) for row in rows]
    return OnChip(tuple(row if _empty(row) else replace(row, effort=job.effort) for row in named), profile)


def _empty(row: Row) -> bool:
    return isinstance(row.latency, NotMeasurable)


def name_of(job: Job) -> str:
    """The name of the rows of a run on the chip."""
    return f"{job.title}, Loihi 2"


TAUGHT = "accuracy is that of the inference"


def _note(deployment: Deployment) -> str:
    kind = "stock processes" if deployment.stock else "neurons that need microcode"
    return f"{len(deployment.placement.cores)} cores, {kind}; host traffic in neither energy nor latency"


def modelled_row(estimate: Estimate, work: str, note: str, accuracy: Cell, name: str = "settle, Loihi 2") -> Row:
    """The row of an estimate: one image after the other."""
    latency, sources = estimate.latency, estimate.latency.sources
    rate = Modelled(1 / latency.high, 1 / latency.low, "images/s", sources)
    p99 = NotMeasurable("modelled from means, no distribution")
    gross = NotMeasurable("modelled energy has its static power inside")
    return Row(name, LOIHI, work, 1, note, accuracy, latency, p99, rate, estimate.energy, gross,
               estimate.energy_delay, more={"modelled": estimate.to_json()})  # fmt: skip


def _measured(job: Job, note: str, accuracy: Cell, door: str) -> Row | None:
    """The row that a board measures, if there is one for this network. Never run on a board."""
    if job.spec.family not in BoardBackend.capabilities.families or not detect().extension:
        return None
    payloads = job.spec.encoder.encode(job.dataset.x_test[: job.priced])
    with BoardBackend(door).open(job.spec) as session:
        read = session.measure(payloads)
    energy: Cell = read.energy or NotMeasurable("this board has no energy probe")
    one_by_one = Measured(1 / read.latency.value, "images/s", read.latency.meter, read.latency.n)
    none = NotMeasurable("Lava's profiler gives means")
    return Row(name_of(job), LOIHI, INFERENCE, 1, note, accuracy, read.latency, none, one_by_one, energy, energy,
               energy_delay(energy, read.latency))  # fmt: skip


def borrowed_accuracy(job: Job, accuracy: Cell) -> Cell:
    """An accuracy that was measured on the native backend, for a device that computes the same integers."""
    if not isinstance(accuracy, Measured):
        return accuracy
    said = f"{accuracy.meter}, on {job.spec.native_backend}, whose integers the chip would compute"
    return Measured(accuracy.value, accuracy.unit, said, accuracy.n)
