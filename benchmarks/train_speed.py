"""How fast is one epoch of EP, spiking integers here against real-valued rates in torch, one thread each?

    python -m benchmarks.train_speed [--epochs 1] [--images 60000]

Trains 784-512-10 three times in one run on the same images: (a) sigma-delta EP on the events backend, int8, online;
(b) rate EP with states driven by autograd of the energy, the usual public way; (c) rate EP with updates derived by hand
and batched, the fastest plain torch form. T1 = 20, T2 = 4 and batch 20 for (b) and (c). Uses MNIST if it is at hand
($SETTLE_DATA or ~/.cache/settle), else synthetic images of the same size. Prints images/s, test accuracy and ratios.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import one_hot

from benchmarks.tools.autograd_ep import AutogradEnergyNetwork
from benchmarks.tools.fast_rate import FastRateNetwork
from benchmarks.tools.results_file import parser, save
from neuro.base.arrays import Int64, UInt8
from neuro.base.metrics import Accuracy, accuracy
from neuro.data.readers.named_sets import cache_folder
from neuro.data.sets import Dataset, checked_dataset, load_dataset
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from sim.backends.protocol import get_backend, one_hot_targets
from sim.training.rates import projection_rates, squared_length
from sim.training.trainer import CHUNK, Choices

SIZES = (784, 512, 10)
BATCH = 20
NUDGE = 0.5
CHOICES = Choices(learning_rate=2.8, output_share=0.125)  # what `sim.training.tune` chooses on MNIST
SYNTHETIC = (20_000, 2_000)


def synthetic_images(seed: int = 0) -> Dataset:
    """28 x 28 images of ten classes: sparse random prototypes, shifted in brightness, with noise."""
    generator = np.random.default_rng(seed)
    prototypes = generator.random((10, 784)) * (generator.random((10, 784)) < 0.19)

    def draw(count: int) -> tuple[UInt8, Int64]:
        labels = generator.integers(10, size=count)
        clean = prototypes[labels] * generator.uniform(0.4, 1.0, (count, 1))
        noise = generator.random((count, 784)) * (generator.random((count, 784)) < 0.08)
        return (np.clip(clean + noise, 0, 1) * 255).astype(np.uint8).reshape(-1, 28, 28), labels

    return checked_dataset("synthetic", *draw(SYNTHETIC[0]), *draw(SYNTHETIC[1]))


def mnist_or_synthetic() -> Dataset:
    """MNIST if it is on this machine, else synthetic images."""
    folders = [Path(os.environ.get("SETTLE_DATA", "")), cache_folder()]
    if any((folder / "mnist.npz").is_file() for folder in folders):
        return load_dataset("mnist")
    return synthetic_images()


def train_events(data: Dataset, order: list[Int64], seed: int) -> tuple[float, Accuracy]:
    """(a) Spiking integers. Returns seconds of training and test accuracy."""
    design = design_for(data.image_shape, SIZES[2], SIZES[1:2], shadow_bits=0)
    spec = build_equilibrium(design, seed)
    payloads, targets = spec.encoder.encode(data.x_train), one_hot_targets(spec, data.y_train)
    scale = squared_length(spec.encoder, payloads[:4096])
    rates = projection_rates(spec, CHOICES.learning_rate / scale, CHOICES.output_share)
    with get_backend("events").open(spec, threads=1) as session:
        session.learn(payloads[:0], targets[:0], rates, seed=seed, first_image=0)  # compiles, once
        start = time.perf_counter()
        for epoch, images in enumerate(order):
            for first in range(0, len(images), CHUNK):
                chunk = images[first : first + CHUNK]
                shown = epoch * len(images) + first
                session.learn(payloads[chunk], targets[chunk], rates, seed=seed, first_image=shown)
        elapsed = time.perf_counter() - start
        predictions = session.run(spec.encoder.encode(data.x_test)).predictions
    return elapsed, accuracy(predictions, data.y_test)


def _torch_data(data: Dataset) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, x_test = (torch.tensor(part.reshape(len(part), -1)).float() / 255 for part in (data.x_train, data.x_test))
    return x, one_hot(torch.tensor(data.y_train, dtype=torch.int64), SIZES[2]).float(), x_test


def train_autograd(data: Dataset, order: list[Int64], seed: int) -> tuple[float, Accuracy]:
    """(b) Rates, autograd of the energy."""
    x, goal, x_test = _torch_data(data)
    network = AutogradEnergyNetwork(SIZES, seed)
    groups = [
        {"params": layer.parameters(), "lr": rate} for layer, rate in zip(network.layers, (0.4, 0.1), strict=True)
    ]
    optimizer = torch.optim.SGD(groups)
    return _time_batches(
        order, lambda i: network.train_batch(x[i], goal[i], optimizer, NUDGE), lambda: network.predict(x_test), data
    )


def train_fast(data: Dataset, order: list[Int64], seed: int) -> tuple[float, Accuracy]:
    """(c) Rates, derived by hand."""
    x, goal, x_test = _torch_data(data)
    network = FastRateNetwork(SIZES, seed)
    return _time_batches(
        order,
        lambda i: network.train_batch(x[i], goal[i], (0.4, 0.1), NUDGE),
        lambda: network.predict(x_test, 20),
        data,
    )


def _time_batches(
    order: list[Int64],
    train: Callable[[torch.Tensor], None],
    predict: Callable[[], torch.Tensor],
    data: Dataset,
) -> tuple[float, Accuracy]:
    start = time.perf_counter()
    for images in order:
        for batch in torch.tensor(images).split(BATCH):
            train(batch)
    elapsed = time.perf_counter() - start
    return elapsed, accuracy(predict().numpy(), data.y_test)


ENGINES = {
    "a": ("spiking integers, events backend", train_events),
    "b": ("rates, autograd of the energy", train_autograd),
    "c": ("rates, by hand, batched", train_fast),
}


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "train_speed", epochs=1, seed=0)
    arguments.add_argument("--images", type=int, default=None, help="training images; default all")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    data = mnist_or_synthetic()
    count = min(options.images or len(data.y_train), len(data.y_train))
    generator = np.random.default_rng(options.seed)
    order = [generator.permutation(len(data.y_train))[:count] for _ in range(options.epochs)]
    speed, rows = {}, []
    for key, (name, train) in ENGINES.items():
        elapsed, test = train(data, order, options.seed)
        speed[key] = count * options.epochs / elapsed
        print(f"({key}) {name:34s} {speed[key]:10,.0f} images/s   test accuracy {test}", flush=True)
        rows.append({"engine": name, "images_per_s": speed[key], "test_accuracy": test.value, "n_test": test.n})
    ratios = {"a/b": speed["a"] / speed["b"], "a/c": speed["a"] / speed["c"]}
    print(f"784-512-10, {data.name}, {count} images x {options.epochs} epochs, one thread: "
          + ", ".join(f"{key} = {value:.1f}" for key, value in ratios.items()))  # fmt: skip
    save(
        options.out,
        {
            "data": data.name,
            "n_images": count,
            "epochs": options.epochs,
            "seed": options.seed,
            "kind": "measured",
            "rows": rows,
            "ratios": ratios,
        },
    )


if __name__ == "__main__":
    main()
