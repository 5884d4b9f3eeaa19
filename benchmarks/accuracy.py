"""How accurate are networks trained by local spikes, against backpropagation of the same shape?

    python -m benchmarks.accuracy --data digits --hidden 64 --seeds 3
    python -m benchmarks.accuracy --data mnist --hidden 256 --epochs 12 --seeds 3

Trains with int8 weights and with 8 shadow bits, and a perceptron in 32-bit floats by backpropagation; everything is
chosen on a validation split of the training set, and the test set is read once a training. Digits: every seed draws
its own test split. Prints and saves accuracy (mean, standard deviation over seeds), CPU seconds, spikes, and the
steadiness of the learning curve: the largest fall of validation accuracy after the first third of the epochs.
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from benchmarks.tools.backprop import backprop_accuracy
from benchmarks.tools.results_file import of_data, parser, save
from neuro.artifact.run_folder import load_artifact
from neuro.data.sets import load_dataset
from sim.screens.training import TrainScreen
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep

SHADOW_BITS = (0, 8)


def largest_fall(history: list[dict[str, Any]]) -> float:
    """The largest drop of validation accuracy from one epoch to the next, after the first third; 0 if none."""
    values = [epoch["val_accuracy"] for epoch in history][len(history) // 3 :]
    return max([0.0, *(before - after for before, after in itertools.pairwise(values))])


def train_once(data: str, hidden: tuple[int, ...], epochs: int | None, shadow_bits: int, seed: int) -> dict[str, Any]:
    """Train one network by the local rule on one core and return its figures."""
    dataset = load_dataset(data, seed)
    config = TrainConfig(seed=seed, hidden=hidden, epochs=epochs, shadow_bits=shadow_bits, threads=1)
    with tempfile.TemporaryDirectory() as folder, TrainScreen() as screen:
        result = train_ep(dataset, config, Path(folder) / "run", screen)
        manifest = load_artifact(result.folder).manifest
    return {
        "seed": seed,
        "val_accuracy": result.val_accuracy.value,
        "test_accuracy": result.test_accuracy.value,
        "n_test": result.test_accuracy.n,
        "train_cpu_s": result.train_cpu_s,
        "spikes_per_inference": result.spikes_per_inference,
        "largest_fall": largest_fall(manifest["history"]),
        "chosen": manifest["chosen"],
    }


def summary(rows: list[dict[str, Any]]) -> str:
    """Mean and spread of the test accuracy in one line."""
    values = [row["test_accuracy"] for row in rows]
    spread = f" +- {stdev(values):.4f}" if len(values) > 1 else ""
    return f"test {mean(values):.4f}{spread}, validation {mean(row['val_accuracy'] for row in rows):.4f}"


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "accuracy", data="digits", hidden=(64,), epochs=None, seeds=3)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    hidden, seeds = options.hidden, range(options.seeds)
    name = f"{Path(options.data).stem} {','.join(map(str, hidden))}, {options.seeds} seeds"
    content: dict[str, Any] = {"data": options.data, "hidden": list(hidden), "kind": "measured", "local": {}}
    for shadow_bits in SHADOW_BITS:
        rows = [train_once(options.data, hidden, options.epochs, shadow_bits, seed) for seed in seeds]
        content["local"][f"{shadow_bits} shadow bits"] = rows
        cpu_s, fall = mean(row["train_cpu_s"] for row in rows), max(row["largest_fall"] for row in rows)
        print(f"{name}: int8, {shadow_bits} shadow bits: {summary(rows)}; {cpu_s:.1f} CPU s of training, "
              f"largest fall of the curve {fall:.4f}", flush=True)  # fmt: skip
    epochs = rows[0]["chosen"]["epochs"]
    content["backprop"] = []
    for seed in seeds:
        validation, test = backprop_accuracy(load_dataset(options.data, seed), hidden, epochs, seed)
        content["backprop"].append({"seed": seed, "val_accuracy": validation.value, "test_accuracy": test.value})
    print(f"{name}: backpropagation, float32: {summary(content['backprop'])}")
    save(of_data(options.out, "accuracy", options.data), content)


if __name__ == "__main__":
    main()
