"""Layers in turn until they are silent, against all layers at every step: accuracy, spikes, CPU time, steps.

    python -m benchmarks.settling --shapes 256,256 conv:16x5,pool:2,conv:32x5,pool:2
    python -m benchmarks.settling --part backprop --shapes conv:16x5,pool:2,conv:32x5,pool:2
    python -m benchmarks.settling --data cifar10 --flip --only even-odd --shapes conv:32x5,pool:2,conv:64x5,pool:2
    python -m benchmarks.settling --part cost

accuracy: trains every shape by `settle train ep` without tuning flags, in both orders; everything is chosen on the
          validation split, the test set is read once. Silent: the share of test images in which no neuron sent at the
          end of the free phase; half steps: the mean last step of the free phase at which a neuron sent.
backprop: the same shape in float32 (convolution, average pool, clip to 0..1), squared error, Adam with a cosine
          schedule; learning rate and epoch by the validation split, the same shifts, twice the epochs.
cost:     CPU time of one thread for an image, after four thousand were learned, as ratios in one run.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.tools.backprop_maps import backprop_of_shape
from benchmarks.tools.results_file import earlier, of_data, parser, save
from neuro.base.metrics import accuracy
from neuro.data.sets import load_dataset
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.layers import parse_layers
from neuro.spec.schedule import ORDERS
from sim.backends.protocol import get_backend, one_hot_targets
from sim.screens.training import TrainScreen
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep
from sim.training.rates import projection_rates, squared_length

SHAPES = ("256", "256,256", "128,128,128", "conv:16x5,pool:2,conv:32x5,pool:2")
WARM, COST_IMAGES = 4000, 1000


def trained(data: str, shape: str, order: str, seed: int, epochs: int | None, flip: bool) -> dict[str, Any]:
    """The figures of one training; nothing but shape, order and seed is given."""
    dataset = load_dataset(data, seed)
    config = TrainConfig(seed=seed, hidden=(), layers=shape, schedule=order, epochs=epochs, threads=1, flip=flip)
    with tempfile.TemporaryDirectory() as folder, TrainScreen() as screen:
        result = train_ep(dataset, config, Path(folder) / "run", screen)
    spec, manifest = result.artifact.spec, result.artifact.manifest
    with get_backend("events").open(spec, threads=1) as session:
        record = session.run(spec.encoder.encode(dataset.x_test))
    assert record.last_spike is not None  # of a network that settles
    return {
        "val_accuracy": result.val_accuracy.value,
        "test_accuracy": accuracy(record.predictions, dataset.y_test).value,
        "n_test": len(dataset.y_test),
        "train_cpu_s": result.train_cpu_s,
        "epochs": len(manifest["history"]),
        "spikes_per_inference": result.spikes_per_inference,
        "silent": float(record.settled.mean()),
        "half_steps": float(record.last_spike.mean()),
        "chosen": manifest["chosen"],
        "history": [
            {key: epoch[key] for key in ("val_accuracy", "train_accuracy", "settling")} for epoch in manifest["history"]
        ],
    }


def costs(data: str, shape: str, repeats: int = 3) -> dict[str, Any]:
    """CPU milliseconds per image of both orders: a free phase, all phases, and learning; after WARM images learned."""
    dataset, found = load_dataset(data, 0), {}
    images, labels = dataset.x_train[: WARM + COST_IMAGES], dataset.y_train[: WARM + COST_IMAGES]
    for order in ORDERS:
        design = design_for(dataset.image_shape, dataset.n_classes, parse_layers(shape), order=order)
        spec = build_equilibrium(replace(design, encoder=design.encoder.centred_on(dataset.x_train[:5000])), 0)
        payloads, targets = spec.encoder.encode(images), one_hot_targets(spec, labels)
        rates = projection_rates(spec, 1.0 / squared_length(spec.encoder, payloads), 0.4, 0.25)
        times: dict[str, list[float]] = {"free": [], "all": [], "learning": []}
        for _ in range(repeats + 1):  # the first may compile
            with get_backend("events").open(spec, threads=1) as session:
                session.learn(payloads[:WARM], targets[:WARM], rates, seed=0, first_image=0)
                learn = partial(session.learn, payloads[WARM:], targets[WARM:], rates, seed=0, first_image=WARM)
                times["free"].append(cpu_s(partial(session.run, payloads[WARM:])))
                times["all"].append(cpu_s(partial(session.run, payloads[WARM:], targets[WARM:])))
                times["learning"].append(cpu_s(learn))
        found[order] = {f"{name}_ms": 1e3 * min(values[1:]) / COST_IMAGES for name, values in times.items()}
    found["ratio"] = {name: found["parallel"][name] / found["even-odd"][name] for name in found["parallel"]}
    return found


def cpu_s(work: Callable[[], object]) -> float:
    """The CPU time of one thread, in seconds."""
    start = time.process_time()
    work()
    return time.process_time() - start


def _asked(
    part: str, data: str, shapes: list[str], orders: tuple[str, ...], seeds: int, epochs: int | None, flip: bool
) -> Iterator[tuple[str, Any]]:
    """Yield the key of every row and what finds it."""
    for shape in shapes:
        if part == "cost":
            yield shape, partial(costs, data, shape)
            continue
        for seed in range(seeds):
            if part == "backprop":
                yield f"{shape}, seed {seed}", partial(backprop_of_shape, data, shape, seed, epochs, flip)
                continue
            for order in orders:
                yield f"{shape}, {order}, seed {seed}", partial(trained, data, shape, order, seed, epochs, flip)


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "settling", data="mnist", seeds=3, epochs=None)
    arguments.add_argument("--part", choices=("accuracy", "backprop", "cost"), default="accuracy")
    arguments.add_argument("--shapes", nargs="+", default=list(SHAPES), help="Hidden layers, as `--layers` takes them.")
    arguments.add_argument("--only", choices=ORDERS, help="One of the two orders; default both.")
    arguments.add_argument("--flip", action="store_true", help="Mirror half of the training images.")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    path = of_data(options.out, "settling", options.data)
    question = {"data": options.data, "kind": "measured", **({"flip": True} if options.flip else {})}
    content = {**question, **{part: earlier(path, question, part) for part in ("accuracy", "backprop", "cost")}}
    orders = ORDERS if options.only is None else (options.only,)
    asked = _asked(options.part, options.data, options.shapes, orders, options.seeds, options.epochs, options.flip)
    for key, find in asked:
        if key not in content[options.part]:
            content[options.part][key] = {"of": key.split(", "), **find()}
            save(path, content)
        row = content[options.part][key]
        print(key, {name: np.round(value, 4) for name, value in row.items() if isinstance(value, float)}, flush=True)


if __name__ == "__main__":
    main()
