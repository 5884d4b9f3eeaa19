"""How does speed grow with the batch, with workers, on a GPU; and what does an event cost as the network grows?

    python -m benchmarks.scaling

MNIST if it is at hand, else synthetic images; 784-256-10. Images/s of inference (free phase, a call for each batch) and
of learning (1,024 images a call) against the batch size: backends events and torch on one thread of the CPU, and torch
on CUDA if there is a device; then learning shared by 1 and 2 workers under torchrun. CPU figures are images per CPU
second of one thread; CUDA and workers are timed by the clock, which other work on the machine slows down, workers also
in images per CPU second of the one that took longest; best of several tries. Last, networks of 64 to 4,096 hidden
neurons on events: time per image over the synaptic operations of an image (spikes times the synapses that they reach).
Writes a JSON file and, beside it, a plot.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from benchmarks.tools.results_file import parser, save, save_figure
from benchmarks.train_speed import CHOICES, mnist_or_synthetic
from neuro.data.sets import Dataset
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend, one_hot_targets
from sim.backends.session import AnySession
from sim.training.parallel.data_parallel import joined, started_by_torchrun
from sim.training.rates import projection_rates, squared_length

HIDDEN, BATCHES = 256, (1, 4, 16, 64, 256, 1024)
GROWTH = (64, 128, 256, 512, 1024, 2048, 4096)
WORKERS, SHARED_BATCH = (1, 2), 256
IMAGES, TRIES, SECONDS = 4096, 3, 1.0
LEARNED = 1024  # images that a network has learned before it is timed
Clock = Callable[[], float]


class Work:
    """A network, encoded images and rates to learn with."""

    def __init__(self, data: Dataset, hidden: int, n_images: int = IMAGES) -> None:
        self.spec: NetworkSpec = build_equilibrium(design_for(data.image_shape, data.n_classes, (hidden,)), 0)
        self.payloads = self.spec.encoder.encode(data.x_train[:n_images])
        self.targets = one_hot_targets(self.spec, data.y_train[:n_images])
        scale = squared_length(self.spec.encoder, self.payloads)
        self.rates = projection_rates(self.spec, CHOICES.learning_rate / scale, CHOICES.output_share)

    def learn(self, session: AnySession, count: int) -> None:
        """Learn the first `count` images."""
        session.learn(self.payloads[:count], self.targets[:count], self.rates, seed=0, first_image=0)

    def infer(self, session: AnySession, count: int) -> None:
        """Run the free phase of the first `count` images."""
        session.run(self.payloads[:count])


def images_per_s(work: Callable[[], object], count: int, clock: Clock) -> float:
    """The best speed of a few tries, each so many calls of `work` on `count` images that it takes a while."""
    calls = 1
    while True:
        start = clock()
        for _ in range(calls):
            work()
        if clock() - start >= SECONDS / 4:
            break
        calls *= 4
    times = []
    for _ in range(TRIES):
        start = clock()
        for _ in range(calls):
            work()
        times.append(clock() - start)
    return count * calls / min(times)


def against_batch(data: Dataset) -> list[dict[str, Any]]:
    """Images/s of inference and learning by backend, device and batch size."""
    places = [("events", "cpu"), ("torch", "cpu")]
    places += [("torch", "cuda")] if torch.cuda.is_available() else []
    work, rows = Work(data, HIDDEN), []
    for backend, device in places:
        clock: Clock = time.perf_counter if device == "cuda" else time.process_time
        options: dict[str, Any] = {"device": device} if backend == "torch" else {}
        for batch in BATCHES:
            with get_backend(backend).open(work.spec, threads=1, batch_size=batch, **options) as session:
                work.learn(session, LEARNED)  # compiles, once
                learn, infer = partial(work.learn, session, LEARNED), partial(work.infer, session, batch)
                row = {
                    "backend": backend, "device": device, "batch": batch,
                    "inference_images_per_s": images_per_s(infer, batch, clock),
                    "learning_images_per_s": images_per_s(learn, LEARNED, clock),
                    "clock": "wall" if device == "cuda" else "CPU time of one thread",
                }  # fmt: skip
            rows.append(row)
            print(f"{backend} on {device}, batch {batch}: inference {row['inference_images_per_s']:,.0f}, "
                  f"learning {row['learning_images_per_s']:,.0f} images/s", flush=True)  # fmt: skip
    return rows


def shared(device: str) -> None:
    """As one of the workers that torchrun started: learn shares of batches; the first prints the speed as JSON."""
    torch.set_num_threads(1)
    work = Work(mnist_or_synthetic(), HIDDEN)
    with joined("torch", device) as compute, compute.open(work.spec, 1, SHARED_BATCH) as session:
        work.learn(session, SHARED_BATCH)
        times = []
        for _ in range(TRIES):
            start, cpu_start = time.perf_counter(), time.process_time()
            work.learn(session, IMAGES)
            times.append([time.perf_counter() - start, time.process_time() - cpu_start])
        assert compute.workers is not None  # torchrun
        wall_s, cpu_s = compute.workers.gather(torch.tensor(times)).amin(dim=1).amax(dim=0).tolist()  # of the slowest
        if compute.leads:
            speeds = {"learning_images_per_s": IMAGES / wall_s, "learning_images_per_cpu_s": IMAGES / cpu_s}
            print(json.dumps(speeds), flush=True)


def against_workers() -> list[dict[str, Any]]:
    """Images/s of learning by number of workers, on the CPU and, with as many devices, on CUDA."""
    rows = []
    for device in ("cpu", "cuda"):
        for size in WORKERS:
            if device == "cuda" and torch.cuda.device_count() < size:
                continue
            launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}"]
            command = [sys.executable, *launcher, "-m", __spec__.name if __spec__ else __name__, "--device", device]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            speeds = json.loads(done.stdout.splitlines()[-1])
            rows.append({"workers": size, "device": device, "batch": SHARED_BATCH, **speeds})
            clock, cpu = speeds["learning_images_per_s"], speeds["learning_images_per_cpu_s"]
            print(f"{size} workers on {device}, batch {SHARED_BATCH}: learning {clock:,.0f} images/s by the clock, "
                  f"{cpu:,.0f} per CPU second of a worker", flush=True)  # fmt: skip
    return rows


def against_size(data: Dataset) -> list[dict[str, Any]]:
    """Time per image and per synaptic operation on events by number of hidden neurons, one thread."""
    rows = []
    for hidden in GROWTH:
        work = Work(data, hidden, LEARNED)
        with get_backend("events").open(work.spec, threads=1) as session:
            work.learn(session, LEARNED)
            record = session.run(work.payloads)
            operations = float(sum(part.sum() for part in record.synaptic_operations(work.spec).values())) / LEARNED
            speed = images_per_s(partial(work.infer, session, LEARNED), LEARNED, time.process_time)
        row = {
            "hidden": hidden, "images_per_s": speed, "synaptic_operations_per_image": operations,
            "spikes_per_image": record.spikes_per_inference(work.spec), "ns_per_operation": 1e9 / speed / operations,
        }  # fmt: skip
        rows.append(row)
        print(f"{hidden} hidden: {speed:,.0f} images/s, {operations:,.0f} synaptic operations an image, "
              f"{row['ns_per_operation']:.3f} ns each", flush=True)  # fmt: skip
    return rows


def plot(path: Path, content: dict[str, Any]) -> None:
    """Draw images/s against the batch, and the cost of an operation against the size."""
    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    places = dict.fromkeys((row["backend"], row["device"]) for row in content["batches"])
    for colour, place in enumerate(places):
        rows = [row for row in content["batches"] if (row["backend"], row["device"]) == place]
        for kind, style in (("inference", "o-"), ("learning", "s--")):
            speeds = [row[f"{kind}_images_per_s"] for row in rows]
            left.loglog([row["batch"] for row in rows], speeds, style, color=f"C{colour}",
                        label=f"{place[0]}, {place[1]}: {kind}")  # fmt: skip
    left.set(xlabel="batch", ylabel="images/s", title=f"784-{HIDDEN}-10, measured")
    left.legend(loc="best", fontsize=7)
    sizes = [row["hidden"] for row in content["sizes"]]
    right.semilogx(sizes, [row["ns_per_operation"] for row in content["sizes"]], "o-")
    right.set(xlabel="hidden neurons", ylabel="ns per synaptic operation", title="events, one thread, measured")
    right.set_ylim(bottom=0)
    save_figure(figure, path)


def main() -> None:
    """Entry point; under torchrun, one of the workers."""
    arguments = parser(__doc__ or "", "scaling")
    arguments.add_argument("--device", default="cpu", help="of the workers, under torchrun")
    options = arguments.parse_args()
    if started_by_torchrun():
        shared(options.device)
        return
    torch.set_num_threads(1)
    data = mnist_or_synthetic()
    content = {"data": data.name, "hidden": HIDDEN, "kind": "measured", "n_images": IMAGES, "tries": TRIES}
    content["load_average"] = os.getloadavg()[0]  # of other work: what is timed by the clock suffers from it
    content["batches"] = against_batch(data)
    content["workers"] = against_workers()
    content["sizes"] = against_size(data)
    save(options.out, content)
    plot(options.out.with_suffix(".png"), content)


if __name__ == "__main__":
    main()
