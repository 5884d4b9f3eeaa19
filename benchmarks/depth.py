"""What lets sigma-delta EP learn through two and three hidden layers, and how near it comes to float rate EP.

    python -m benchmarks.depth --part tries        what each choice does, on 10,000 images, one pass
    python -m benchmarks.depth --part accuracy     two and three hidden layers trained fully, and float rate EP
    python -m benchmarks.depth --part kernels --data cifar10 --layers conv:32x3,pool:2 --images 5000 --epochs 2
    python -m benchmarks.depth --part run --run RUN         the figures of a run that `settle train ep` has finished

Tries change one choice at a time from the defaults (`neuro.equilibrium.design.design_for`, `sim.training.tune`)
and read validation images only; nothing is tuned for a variant. In full trainings everything is chosen on the
validation split and the test set is read once. Float rate EP (`benchmarks.tools.deep_rate`) has the same layers, boxes,
phases, nudge, gains of the initial weights and centred images, in batches of twenty; its learning rate is the best of
four on validation images, its epoch too.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.depth_tries import RATE, SHARE, TRIED_IMAGES, TRIES, attempt
from benchmarks.tools.deep_rate import DeepDesign, DeepRateNetwork
from benchmarks.tools.results_file import earlier, of_data, parser, save
from neuro.artifact.run_folder import load_artifact
from neuro.data.sets import Dataset, Split, load_dataset, split_validation
from neuro.equilibrium.design import design_for
from neuro.front_ends.pixels import PixelEncoder, gain_bits_for
from neuro.spec.schedule import PARALLEL
from sim.screens.training import TrainScreen
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep

FLOAT_RATES, FLOAT_BATCH = (1.0, 0.5, 0.25, 0.125), 20
FINAL_RATE = 1 / 8  # as `sim.training.trainer`


def spiking(data: str, hidden: tuple[int, ...], epochs: int, seed: int) -> dict[str, Any]:
    """Train a spiking network fully, int8 weights and 8 shadow bits."""
    config = TrainConfig(seed=seed, hidden=hidden, epochs=epochs, threads=1, centred=True, schedule=PARALLEL)
    with tempfile.TemporaryDirectory() as folder, TrainScreen() as screen:
        return of_run(train_ep(load_dataset(data, seed), config, Path(folder) / "run", screen).folder)


def kernels(data: str, layers: str, epochs: int, n_images: int | None, seed: int) -> dict[str, Any]:
    """Train a convolutional network on the first training images (None: all), at given rates."""
    dataset = load_dataset(data, seed)
    dataset = replace(dataset, x_train=dataset.x_train[:n_images], y_train=dataset.y_train[:n_images])
    config = TrainConfig(
        seed=seed, hidden=(), layers=layers, epochs=epochs, threads=1, refit=False,
        learning_rate=RATE, output_share=SHARE, schedule=PARALLEL,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, TrainScreen() as screen:
        result = train_ep(dataset, config, Path(folder) / "run", screen)
        return of_run(result.folder)


def of_run(folder: Path) -> dict[str, Any]:
    """The figures of a finished run."""
    manifest = load_artifact(folder).manifest
    results = manifest["results"]
    return {
        "data": manifest["data"]["name"],
        "layers": manifest["config"]["layers"] or manifest["config"]["hidden"],
        "shift": manifest["config"].get("shift", 0),
        "seed": manifest["seed"],
        "val_accuracy": results["val"]["n_correct"] / results["val"]["n"],
        "test_accuracy": results["test"]["n_correct"] / results["test"]["n"],
        "n_test": results["test"]["n"],
        "n_train": manifest["data"].get("n_train"),
        "train_cpu_s": results["train_cpu_s"],
        "images_per_s": results["images_per_s"],
        "spikes_per_inference": results["spikes_per_inference"],
        "chosen": manifest["chosen"],
        "history": [epoch["val_accuracy"] for epoch in manifest["history"]],
    }


def floats(data: str, hidden: tuple[int, ...], epochs: int, seed: int) -> dict[str, Any]:
    """Train float rate EP fully."""
    dataset = load_dataset(data, seed)
    split = split_validation(dataset.y_train, seed)
    encoder = PixelEncoder(12, gain_bits=gain_bits_for(dataset.x_train)).centred_on(dataset.x_train[split.train])

    def real(images: Any) -> Tensor:
        return torch.tensor(encoder.encode(images).astype(np.float32) / 2.0**12)

    images, labels = real(dataset.x_train), torch.tensor(dataset.y_train, dtype=torch.int64)
    trials = {
        rate: _train_floats(images, labels, split, _float_design(dataset, hidden, rate), 1, seed, TRIED_IMAGES)
        for rate in FLOAT_RATES
    }
    rate = max(trials, key=lambda tried: trials[tried][1])
    network, best, history = _train_floats(
        images, labels, split, _float_design(dataset, hidden, rate), epochs, seed, len(split.train)
    )
    test = float((network.predict(real(dataset.x_test)) == torch.tensor(dataset.y_test)).double().mean())
    return {"val_accuracy": best, "test_accuracy": test, "n_test": len(dataset.y_test), "rate": rate,
            "trials": {str(tried): found[1] for tried, found in trials.items()}, "history": history}  # fmt: skip


def _float_design(dataset: Dataset, hidden: tuple[int, ...], rate: float) -> DeepDesign:
    """The design of the spiking network, in floats."""
    like = design_for(dataset.image_shape, dataset.n_classes, hidden)
    return DeepDesign(
        sizes=(int(np.prod(dataset.image_shape)), *hidden, dataset.n_classes),
        rates=(rate, *(rate * (SHARE if len(hidden) < 3 else SHARE / 2) for _ in hidden)),
        gains=like.gains,
        nudge=like.nudge_multiplier / 2**like.nudge_shift,
        free_steps=like.free_steps,
        nudged_steps=like.nudged_steps,
        step=like.step_multiplier / 2**like.step_shift,
        box=like.output_box,
        output_bias=like.output_bias,
    )


def _train_floats(
    images: Tensor, labels: Tensor, split: Split, design: DeepDesign, epochs: int, seed: int, n_images: int
) -> tuple[DeepRateNetwork, float, list[float]]:
    """The network of the best epoch, its validation accuracy, and that of every epoch."""
    network, generator = DeepRateNetwork(design, seed), torch.Generator().manual_seed(seed)
    held_out, goals = torch.tensor(split.validation), torch.eye(design.sizes[-1])
    scale = 1.0 + float(images[torch.tensor(split.train)].square().sum(1).mean())
    best, best_weights, history = -1.0, network.copy_weights(), list[float]()
    for epoch in range(epochs):
        order = torch.tensor(split.train)[torch.randperm(len(split.train), generator=generator)][:n_images]
        for batch in order.split(FLOAT_BATCH):
            network.train_batch(images[batch], goals[labels[batch]], FINAL_RATE ** (epoch / max(1, epochs - 1)), scale)
        history.append(float((network.predict(images[held_out]) == labels[held_out]).double().mean()))
        if history[-1] >= best:
            best, best_weights = history[-1], network.copy_weights()
    network.set_weights(best_weights)
    return network, best, history


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "depth", data="mnist", seeds=2, epochs=12)
    arguments.add_argument("--part", choices=("tries", "accuracy", "kernels", "run"), default="tries")
    arguments.add_argument("--hidden", default="128,128 128,128,128", help="Networks of the accuracy part.")
    arguments.add_argument("--only", choices=("spiking", "float"), help="Of the accuracy part; default both.")
    arguments.add_argument("--again", help="Try again only what begins with this; keep the rest of the file.")
    arguments.add_argument("--layers", default="conv:16x5,pool:2,conv:32x5,pool:2", help="Of the kernels part.")
    arguments.add_argument("--images", type=int, help="Training images of the kernels part; default all.")
    arguments.add_argument("--run", type=Path, help="A finished run.")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    path = of_data(options.out, "depth", options.data)
    question = {"data": options.data, "kind": "measured"}
    content = {**question, **{part: earlier(path, question, part) for part in ("tries", "accuracy", "kernels")}}
    if options.part == "tries":
        before, content["tries"] = content["tries"], {}
        for name, rows in tried(options.data, options.seeds, before, options.again):
            content["tries"][name] = rows
            save(path, content)
        return
    for part, key, train in _trainings(options):
        if key not in content[part]:
            content[part][key] = train()
            save(path, content)
        row = content[part][key]
        print(f"{key}: test {row['test_accuracy']:.4f}, validation {row['val_accuracy']:.4f}", flush=True)


def _trainings(options: argparse.Namespace) -> Iterator[tuple[str, str, Callable[[], dict[str, Any]]]]:
    """Yield part, key, and what trains, of everything asked for."""
    if options.part == "run":
        row = of_run(options.run)
        shifted = f", shifted by {row['shift']}" if row["shift"] else ""
        key = f"{row['layers']}, {len(row['history'])} epochs{shifted}, seed {row['seed']}"
        yield "kernels", key, lambda: row
        return
    for seed in range(options.seeds):
        if options.part == "kernels":
            key = f"{options.layers}, {options.epochs} epochs of {options.images or 'all'} images, seed {seed}"
            yield "kernels", key, partial(kernels, options.data, options.layers, options.epochs, options.images, seed)
            continue
        for text in options.hidden.split():
            hidden = tuple(int(part) for part in text.split(","))
            for kind, train in (("spiking", spiking), ("float", floats)):
                if options.only in (None, kind):
                    key = f"{text}, {options.epochs} epochs, seed {seed}, {kind}"
                    yield "accuracy", key, partial(train, options.data, hidden, options.epochs, seed)


def tried(
    data: str, seeds: int, before: dict[str, list[dict[str, Any]]], again: str | None
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Try everything; yields and prints one by one. again: names that begin otherwise keep what they had `before`."""
    for name in TRIES:
        rows = before.get(name, [])
        if again is None or not rows or name.startswith(again):
            rows = [attempt(load_dataset(data, seed), name, seed) for seed in range(seeds)]
            values = ", ".join(f"{row['val_accuracy']:.4f}" for row in rows)
            silent = np.mean([row["silent"] for row in rows])
            print(f"{name}: {values}; silent at the end of the free phase {silent:.2f}", flush=True)
        yield name, rows


if __name__ == "__main__":
    main()
