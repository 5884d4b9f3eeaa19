"""Benchmark a finished run: who is there, on which device, what each takes to classify and to learn an image."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.bench.chip import OnChip, borrowed_accuracy, on_chip
from benchmarks.bench.config import AUTO, CPU, CUDA, IMAGES, LOIHI, OFF, BenchConfig
from benchmarks.bench.contestants import LEARNED, Contestant, Missing, contestants, has_cuda
from benchmarks.bench.counters import Counter, open_counter
from benchmarks.bench.effort import Effort
from benchmarks.bench.job import SLAYER, Job
from benchmarks.bench.meters import Reading, measure_idle
from benchmarks.bench.rows import INFERENCE, TRAINING, Row, empty_row, measured_row
from benchmarks.bench.slayer import slayer_job
from benchmarks.bench.timing import BATCHES, Arrays, Work, best_batch, run_window
from benchmarks.tools.results_file import machine
from neuro.artifact.run_folder import SELF
from neuro.base.errors import UserError
from neuro.base.files import json_bytes, sha256
from neuro.base.metrics import accuracy
from neuro.base.quantities import Cell, Measured, NotMeasurable
from neuro.base.shown import Lines, Shown
from neuro.data.sets import require_test_images
from sim.evaluate import data_of, is_coder, load_run

RESULT = "bench.json"
AS_ABOVE = NotMeasurable("accuracy is that of the inference")


@dataclass(frozen=True, eq=False)
class Meter:
    """The energy counter of a device, or why there is none."""

    counter: Counter | NotMeasurable

    @staticmethod
    def of(device: str) -> Meter:
        """Open the counter of a device; a GPU is taken first, since one that a process holds idles at higher power."""
        counter = open_counter(device)
        if device == CUDA and not isinstance(counter, NotMeasurable):
            torch.zeros(1, device=CUDA)
            torch.cuda.synchronize()
        return Meter(counter)

    def idle(self, seconds: float) -> Reading | NotMeasurable:
        """Measure what the device takes now, while nothing of ours computes."""
        return self.counter if isinstance(self.counter, NotMeasurable) else measure_idle(self.counter, seconds)

    def __str__(self) -> str:
        return str(self.counter) if isinstance(self.counter, NotMeasurable) else self.counter.name


@dataclass(frozen=True, eq=False, repr=False)
class Bench(Shown):
    """A finished benchmark. chip: rows of Loihi 2 and the profile they come from."""

    run: str
    config: BenchConfig
    rows: tuple[Row, ...]
    chip: OnChip | None
    content: dict[str, Any]

    def lines(self) -> Lines:
        """See `Shown`: what one image takes at batch 1, contestant by contestant; all rows are a field."""
        return [("run", self.run), *(row.line() for row in self.rows if row.batch == 1)]

    def summary(self) -> dict[str, Any]:
        """The object that `settle bench --json` prints."""
        return {"run": self.run, "rows": [row.summary() for row in self.rows]}


def bench_run(folder: Path, config: BenchConfig, on_part: Callable[[str], None] = lambda text: None) -> Bench:
    """Benchmark the run of a classifier; on_part is told what comes next. Writes nothing.

    Raises: UserError if the run or its data cannot be used.
    """
    artifact = load_run(folder)
    if is_coder(artifact):
        raise UserError(f"run {folder}: a sparse coder has no classes; `benchmarks.bench.sweep` takes it")
    dataset = data_of(artifact)
    count = min(IMAGES, len(dataset.y_test)) if config.images is None else config.images
    require_test_images(dataset, count)
    dataset = replace(dataset, x_test=dataset.x_test[:count], y_test=dataset.y_test[:count])
    with torch_threads(config.threads):
        job = Job(artifact, dataset, config.threads, str(folder), config.constants)
        return _bench(_with_rival(job, config, on_part), config, on_part)


@contextlib.contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Give torch as many threads as our backends take, None for one a core; as it was, afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _with_rival(job: Job, config: BenchConfig, on_part: Callable[[str], None]) -> Job:
    """The job with SLAYER's network beside it, if that is wanted, and not the job itself."""
    if config.slayer == OFF or job.by_slayer or not {CPU, LOIHI} & set(config.devices):
        return job
    on_part("slayer: training" if config.slayer == AUTO else f"slayer: {config.slayer}")
    return replace(job, rival=slayer_job(job, config.slayer))


def _bench(job: Job, config: BenchConfig, on_part: Callable[[str], None]) -> Bench:
    """Time everybody, price the chip."""
    meters = {device: Meter.of(device) for device in (CPU, CUDA) if _there(device, config)}
    rows: list[Row] = []
    for found in contestants(job, tuple(name for name in config.devices if name != LOIHI)):
        rows += _rows(job, found, config, meters, on_part)
    chip = None
    if LOIHI in config.devices:
        on_part("Loihi 2: placing, pricing")
        chip = _chip(job, rows)
        on_loihi = (*chip.rows, *_rival_on_chip(job, rows))
        rows += [row for row in on_loihi if config.train or row.work == INFERENCE]
    ordered = tuple(sorted(rows, key=lambda row: row.work == TRAINING))
    return Bench(job.run, config, ordered, chip, _content(job, config, meters, ordered))


def _chip(job: Job, rows: Sequence[Row]) -> OnChip:
    """The rows of a chip; their accuracy is measured on the CPU."""
    name = f"{job.title}, {job.spec.native_backend}"
    right = [row.accuracy for row in rows if row.name == name and row.device == CPU]
    asked = NotMeasurable("not measured: benchmark the cpu, too (--devices)")
    return on_chip(job, borrowed_accuracy(job, right[0] if right else asked))


def _rival_on_chip(job: Job, rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows of SLAYER's network on a chip, or why there are none."""
    if job.rival is None:
        return ()
    if isinstance(job.rival, NotMeasurable):
        return (empty_row((f"{SLAYER}, Loihi 2", LOIHI, ""), INFERENCE, job.rival.reason),)
    return _chip(job.rival, rows).rows


def _there(device: str, config: BenchConfig) -> bool:
    return device in config.devices and (device == CPU or has_cuda())


def _rows(
    job: Job, found: Contestant | Missing, config: BenchConfig, meters: Mapping[str, Meter],
    on_part: Callable[[str], None],
) -> list[Row]:  # fmt: skip
    """The rows of one contestant: inference, and training, at batch 1 and at the best batch size."""
    if isinstance(found, Missing):
        works = (INFERENCE, TRAINING) if config.train else (INFERENCE,)
        return [empty_row((found.name, found.device, ""), work, found.reason) for work in works]
    on_part(f"{found.name}, {found.device}: inference")
    data, meter = job.dataset, meters[found.device]
    right = accuracy(found.infer(data.x_test), data.y_test)
    test_accuracy = Measured(right.value, "", f"test images, from the first, of {data.name}", right.n)
    who = (found.name, found.device, found.note)
    rows = timed_rows(who, INFERENCE, test_accuracy, found.infer, (data.x_test,), config.seconds, meter, found.effort)
    if not config.train:
        return rows
    if isinstance(found.learn, NotMeasurable):
        return [*rows, empty_row(who, TRAINING, found.learn.reason, found.effort)]
    on_part(f"{found.name}, {found.device}: training")
    lessons = (data.x_train[:LEARNED], data.y_train[:LEARNED])
    return [*rows, *timed_rows(who, TRAINING, AS_ABOVE, found.learn, lessons, config.seconds, meter, found.effort)]


def timed_rows(
    who: tuple[str, str, str], work: str, reached: Cell, call: Work, arrays: Arrays, seconds: float, meter: Meter,
    effort: Effort | None = None,
) -> list[Row]:  # fmt: skip
    """The rows of a kind of work: one image a call, and as many as give the most images per second.

    Idle power is measured between the search for the best batch size and the windows: the device is warm by then.
    """
    best, swept = best_batch(call, arrays, BATCHES[who[1]])
    idle = meter.idle(seconds)
    windows = [run_window(call, arrays, batch, seconds, meter.counter) for batch in dict.fromkeys((1, best))]
    tried = {"images_per_s by batch": {str(batch): rate for batch, rate in swept.items()}}
    return [measured_row(who, work, reached, window, idle, tried, effort) for window in windows]


def _content(job: Job, config: BenchConfig, meters: Mapping[str, Meter], rows: tuple[Row, ...]) -> dict[str, Any]:
    """The content of the file: every cell with its kind, and all that is needed to judge it."""
    asked = {**asdict(config), "devices": list(config.devices)}
    manifest = job.manifest
    return {
        "kind": "each cell states its own: measured, counted, modelled, not measurable",
        "run": job.run,
        "run_manifest_sha256": manifest[SELF],
        "weights_sha256": manifest["files"]["weights.npz"],
        "data": manifest["data"],
        "shape": [job.spec.n_inputs, *job.hidden, job.dataset.n_classes],
        "seed": job.seed,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "config": asked,
        "config_sha256": sha256(json_bytes(asked, sort_keys=True)),
        "machine": {**machine(), **torch_devices()},
        "energy counters": {device: str(meter) for device, meter in meters.items()},
        **job.trained,
        "rows": [row.to_json() for row in rows],
    }


def torch_devices() -> dict[str, Any]:
    """The devices and threads of torch here, and how busy the machine is."""
    there = has_cuda()
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if there else []
    found = {"torch threads": torch.get_num_threads(), "cuda": torch.version.cuda if there else None, "gpus": names}
    return {**found, "load average": list(os.getloadavg())}  # of the last 1, 5, 15 minutes: who else computes
