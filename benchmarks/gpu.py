"""Does a CUDA device compute the same integers, how fast, and at what energy, beside a perceptron on the same card?

    python -m benchmarks.gpu [--specs 10] [--seconds 1] [--energy-seconds 5]

About six minutes on an H100. Contract: random networks run and learn on the Triton kernels as on the reference; counted
are the integers that differ. Speed: 784-512-10 and 784-256-10 learn at batch 256 and infer at 1 to 16384 images a
batch, with the images on the device already (graphs replayed) and through `session.learn` and `session.run`, from
payloads in host memory to a record in host memory; the same through the torch path (SETTLE_TRITON=0), and a perceptron
of the same shape by backpropagation, in float32 and with TF32 products. Energy: NVML's counter of the board, idle
subtracted, resident work. Then networks of maps (`benchmarks.gpu_maps`). MNIST and CIFAR-10 if they are at hand
($SETTLE_DATA), else synthetic images. Needs a card: else exit code 2.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from benchmarks.bench.counters import Counter, driver_version, open_counter, open_nvml
from benchmarks.bench.meters import Reading, measure_idle, net_energy
from benchmarks.gpu_maps import of_maps
from benchmarks.gpu_resident import Contestant, Kernels, Perceptron, energy_window, epochs, seconds_a_batch
from benchmarks.tools.backprop import real
from benchmarks.tools.results_file import parser, save
from benchmarks.train_speed import mnist_or_synthetic
from neuro.base.errors import UserError
from neuro.base.metrics import accuracy
from neuro.base.quantities import Cell, NotMeasurable
from neuro.data.sets import Dataset, load_dataset
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.plasticity import Rate
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched.backend import TorchSession
from sim.backends.batched.choice import SWITCH, reason
from sim.backends.protocol import get_backend, one_hot_targets
from sim.contract.sigma_delta import any_spec, random_images, random_rates
from sim.training.rates import projection_rates, squared_length

HIDDEN = (512, 256)
BATCH, BATCHES = 256, (1, 256, 4096, 16384)
RATE, OUTPUT_SHARE = 1.4 * 16 / BATCH, 0.25  # of a batch whose images all learn from the same weights
EPOCHS = 10  # learned before the test accuracy is looked at
CONTRACT_S = 120.0  # compiling takes seconds a network: no new one after so long
CONTRACT_IMAGES, CONTRACT_BATCH = 40, 16
TORCH_IMAGES = 4096  # learned by the torch path
NO_CARD = 2

Row = dict[str, Any]
Rates = dict[str, Rate]


def different(spec: NetworkSpec, seed: int, device: str = "cuda") -> tuple[int, int]:
    """How many integers of a run and of a learning differ from the reference, and how many were compared."""
    payloads, targets = random_images(spec, seed, CONTRACT_IMAGES)
    found: list[list[Any]] = []
    for name, options in (("reference", {}), ("torch", {"device": device})):
        with get_backend(name).open(spec, batch_size=CONTRACT_BATCH, **options) as session:
            arrays = []
            for goals in (None, targets):
                record = session.run(payloads, goals, seed=7, first_image=3)
                arrays += [record.output_states, record.last_spike, *record.spike_counts.values()]
            rates = random_rates(spec, seed)
            outcome = session.learn(payloads, targets, rates, seed=7, first_image=3)
            arrays += [outcome.settling.nudged, *outcome.spike_counts.values(), *session.full_weights().values()]
            found.append([*arrays, session.run(payloads).output_states])
    pairs = list(zip(*found, strict=True))
    return sum(int(np.sum(a != b)) for a, b in pairs), sum(np.size(a) for a, _ in pairs)


def contract(n_specs: int, device: torch.device) -> Row:
    """Random networks that the kernels run, on both."""
    start, seeds, differences, compared = time.perf_counter(), [], 0, 0
    for seed in range(100 * n_specs):
        spec = any_spec(seed)
        if len(seeds) == n_specs or time.perf_counter() - start > CONTRACT_S:
            break
        if reason(spec, device, False) or len(spec.schedule.phases) < 3:
            continue
        differing, size = different(spec, seed)
        seeds, differences, compared = [*seeds, seed], differences + differing, compared + size
        sizes = [population.size for population in spec.populations]
        print(f"spec {seed:3d}: {sizes}, {differing} of {size} integers differ", flush=True)
    return {"seeds": seeds, "differences": differences, "compared": compared}


class Card:
    """The device, its energy counter, and how long to look."""

    def __init__(self, seconds: float, energy_seconds: float) -> None:
        self.device, self.seconds, self.energy_seconds = torch.device("cuda"), seconds, energy_seconds
        counter = open_counter("cuda")
        self.counter = open_nvml() if isinstance(counter, NotMeasurable) else counter
        self.idle: Reading | NotMeasurable = NotMeasurable("no counter")
        if not isinstance(self.counter, NotMeasurable):
            self.idle = measure_idle(self.counter, energy_seconds)

    def resident(self, engine: str, what: str, contestant: Contestant, batch: int) -> Row:
        """Time, and the energy, of a batch."""
        work = (contestant.learn if what == "learning" else contestant.infer)(batch)
        elapsed = seconds_a_batch(contestant, work, batch, self.device, self.seconds)
        row = _row(engine, what, "resident", batch, elapsed)
        return {**row, "energy_per_image": _written(self._energy(contestant, work, batch))}

    def _energy(self, contestant: Contestant, work: Callable[[], object], batch: int) -> Cell:
        if isinstance(self.counter, NotMeasurable):
            return self.counter
        counter: Counter = self.counter
        reading, n = energy_window(contestant, work, batch, self.device, self.energy_seconds, counter)
        return net_energy(reading, self.idle, n)

    def hosted(self, engine: str, what: str, work: Callable[[], object], n_images: int) -> Row:
        """Time of calls from host memory to host memory."""
        work()
        calls, start = 0, time.perf_counter()
        while calls == 0 or time.perf_counter() - start < self.seconds:
            work()
            calls += 1
        return _row(engine, what, "from host to host", n_images, (time.perf_counter() - start) / calls)


def _written(cell: Cell) -> Row:
    return {"kind": "not measurable", **asdict(cell)} if isinstance(cell, NotMeasurable) else cell.to_json()


def _row(engine: str, what: str, where: str, batch: int, elapsed: float) -> Row:
    print(f"  {engine:20s} {what:9s} {where:17s} batch {batch:5d}: {elapsed * 1e6:10.1f} us, "
          f"{batch / elapsed:14,.0f} images/s", flush=True)  # fmt: skip
    return {"engine": engine, "what": what, "where": where, "batch": batch, "batch_s": elapsed,
            "images_per_s": batch / elapsed}  # fmt: skip


def opened(spec: NetworkSpec, triton: bool, batch: int = BATCH) -> TorchSession:
    """A session on the card, on the kernels or on torch."""
    before = os.environ.pop(SWITCH, None)
    try:
        if not triton:
            os.environ[SWITCH] = "0"
        session = get_backend("torch").open(spec, batch_size=batch, device="cuda")
    finally:
        os.environ.pop(SWITCH, None)
        if before is not None:
            os.environ[SWITCH] = before
    assert isinstance(session, TorchSession)
    return session


def of_network(data: Dataset, hidden: int, card: Card) -> Iterator[Row]:
    """Yield rows of the network, on the kernels and on torch."""
    spec = build_equilibrium(design_for(data.image_shape, data.n_classes, (hidden,)), 0)
    payloads, targets = spec.encoder.encode(data.x_train), one_hot_targets(spec, data.y_train)
    rates = projection_rates(spec, RATE / squared_length(spec.encoder, payloads[:4096]), OUTPUT_SHARE)
    for triton in (True, False):
        session = opened(spec, triton)
        engine, n_learned = session.kernels.split(":")[0], len(payloads) if triton else TORCH_IMAGES
        print(f"784-{hidden}-10, {session.kernels}", flush=True)
        passed = iter(range(1 << 20))

        def learn(session: TorchSession = session, n: int = n_learned, passed: Iterator[int] = passed) -> None:
            session.learn(payloads[:n], targets[:n], rates, seed=0, first_image=next(passed) * n)

        row = {"hidden": hidden, "kernels": session.kernels}
        if triton:
            for _ in range(EPOCHS):
                learn()
            found = accuracy(session.run(spec.encoder.encode(data.x_test)).predictions, data.y_test)
            row |= {"epochs": EPOCHS, "test_accuracy": found.value, "n_test": found.n}
            print(f"  test accuracy after {EPOCHS} epochs: {found}", flush=True)
        yield {**row, **card.hosted(engine, "learning", learn, n_learned)}
        for batch in BATCHES:
            images = payloads[:batch]
            yield {**row, **card.hosted(engine, "inference", lambda s=session, x=images: s.run(x), len(images))}
        if triton:
            session.run(payloads)
            kernels = Kernels(session, len(payloads))
            for batch in BATCHES:
                yield {**row, **card.resident(engine, "inference", kernels, batch)}
            learn()
            yield {**row, **card.resident(engine, "learning", kernels, BATCH)}
        session.close()


def of_perceptron(data: Dataset, hidden: int, card: Card) -> Iterator[Row]:
    """Yield rows of a perceptron of the same shape."""
    images, labels = real(data.x_train).to(card.device), torch.tensor(data.y_train, dtype=torch.int64).to(card.device)
    for precision, name in (("highest", "perceptron float32"), ("high", "perceptron TF32")):
        torch.set_float32_matmul_precision(precision)
        network = Perceptron((images.shape[1], hidden, data.n_classes), images, labels)
        epochs(network, network.learn(BATCH), BATCH, EPOCHS, card.device)
        with torch.no_grad():
            predictions = network.model(real(data.x_test).to(card.device)).argmax(1).cpu().numpy()
        found = accuracy(predictions, data.y_test)
        row = {"hidden": hidden, "epochs": EPOCHS, "test_accuracy": found.value, "n_test": found.n}
        for batch in BATCHES:
            yield {**row, **card.resident(name, "inference", network, batch)}
            shown = data.x_train[:batch]

            def infer(shown: Any = shown, network: Perceptron = network) -> None:
                with torch.inference_mode():
                    network.model(real(shown).to(card.device)).argmax(1).cpu()

            yield {**row, **card.hosted(name, "inference", infer, len(shown))}
        yield {**row, **card.resident(name, "learning", network, BATCH)}
    torch.set_float32_matmul_precision("highest")


def cifar10_or_synthetic() -> Dataset:
    """CIFAR-10 if it is at hand, else images of independent pixels."""
    try:
        return load_dataset("cifar10", 0)
    except UserError:
        generator = np.random.default_rng(0)
        images = [generator.random((n, 32, 32, 3), dtype=np.float32) for n in (4096, 16)]
        labels = [generator.integers(0, 10, len(x)).astype(np.int32) for x in images]
        return Dataset("synthetic", images[0], labels[0], images[1], labels[1])


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "gpu")
    arguments.add_argument("--specs", type=int, default=10, help="random networks of the contract")
    arguments.add_argument("--seconds", type=float, default=1.0, help="of a measurement of time")
    arguments.add_argument("--energy-seconds", type=float, default=5.0, help="of a measurement of energy")
    options = arguments.parse_args()
    if not torch.cuda.is_available():
        print("benchmarks.gpu: torch finds no CUDA device here; run it on a machine with one", file=sys.stderr)
        sys.exit(NO_CARD)
    start, card, data = time.perf_counter(), Card(options.seconds, options.energy_seconds), mnist_or_synthetic()
    agreement, rows = contract(options.specs, card.device), []
    for hidden in HIDDEN:
        rows += [*of_network(data, hidden, card), *of_perceptron(data, hidden, card)]
    pictures = cifar10_or_synthetic()
    maps = list(of_maps(pictures, opened, card.device, options.seconds))
    facts = torch.cuda.get_device_properties(card.device)
    about = {"name": facts.name, "memory_bytes": facts.total_memory, "processors": facts.multi_processor_count,
             "capability": list(torch.cuda.get_device_capability()), "cuda": torch.version.cuda,
             "driver": driver_version()}  # fmt: skip
    save(options.out, {"kind": "measured", "data": data.name, "card": about, "contract": agreement, "rows": rows,
                       "data_of_maps": pictures.name, "maps": maps,
                       "wall_s": time.perf_counter() - start})  # fmt: skip
    sys.exit(1 if agreement["differences"] or any(row["differences"] for row in maps) else 0)


if __name__ == "__main__":
    main()
